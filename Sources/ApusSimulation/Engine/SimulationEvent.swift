/// What a run tells while it goes on.
///
/// Numbers count only once the round has committed.
public enum SimulationEvent: Sendable {
  /// A round begins; `clients` of its cohort will train.
  case roundBegan(round: Int, total: Int, clients: Int)
  /// A client's part in the round has ended; in order of the cohort.
  case clientEnded(round: Int, ClientRecord)
  /// Something is worth a line.
  case noticed(RunEvent)
  /// The model was measured.
  case measured([MetricRow])
  /// The round is on the disk.
  case roundCommitted(RoundRecord)
}

/// Hears what a run tells; called on the server's thread, so it should be quick.
public typealias SimulationObserver = @Sendable (SimulationEvent) -> Void
