/// What is known of a client's device, for methods that give weak devices less to do.
///
/// - Source: the experiment's device profiles in a simulation; what the client reports elsewhere.
public struct DeviceTraits: Sendable, Hashable {
  /// Name of the profile, such as `phone`.
  public var name: String
  /// Time of one optimizer step on all layers; 0 for a device that costs no time.
  public var secondsPerStep: Double
  /// Speed of the uplink; 0 for sending that takes no time.
  public var uplinkBytesPerSecond: Double
  /// σ of the log-normal factor, with median 1, by which times differ from round to round.
  public var jitter: Double

  /// Describes a device; by default one that needs no time.
  public init(
    name: String = "ideal", secondsPerStep: Double = 0, uplinkBytesPerSecond: Double = 0,
    jitter: Double = 0
  ) {
    self.name = name
    self.secondsPerStep = secondsPerStep
    self.uplinkBytesPerSecond = uplinkBytesPerSecond
    self.jitter = jitter
  }

  /// The device that needs no time.
  public static let ideal = DeviceTraits()
}
