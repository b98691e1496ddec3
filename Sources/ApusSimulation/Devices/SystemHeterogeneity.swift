import ApusCore

/// How unlike the clients' devices are, by the time that a round would take each of them.
public struct SystemHeterogeneity: Hashable, Sendable {
  /// T_k of each client in seconds: receiving, all local steps, sending; without chance.
  public let seconds: [Double]
  /// 90th over 10th percentile of T_k; 1 for equal devices and work, nil if some need no time.
  public let spread: Double?

  /// Predicts a round.
  ///
  /// - Parameters:
  ///   - fleet: The clients' devices.
  ///   - clients: The clients and their work.
  ///   - workload: What one step asks of a device.
  ///   - bytes: What a client receives, and as much as it sends.
  public init(_ fleet: Fleet, _ clients: [FederationClient], _ workload: Workload, bytes: Int) {
    seconds = clients.map { client in
      let device = fleet.device(of: client.id.index)
      let training = Double(client.localSteps) * device.secondsPerStep(of: workload)
      return device.secondsDown(bytes: bytes) + training + device.secondsUp(bytes: bytes)
    }
    let sorted = seconds.sorted()
    let low = Self.quantile(0.1, of: sorted)
    spread = low > 0 ? Self.quantile(0.9, of: sorted) / low : nil
  }

  /// Between the two nearest values, in proportion.
  private static func quantile(_ share: Double, of sorted: [Double]) -> Double {
    guard let last = sorted.indices.last else { return 0 }
    let place = share * Double(last)
    let (below, above) = (sorted[Int(place)], sorted[Int(place.rounded(.up))])
    return below + (above - below) * (place - place.rounded(.down))
  }
}
