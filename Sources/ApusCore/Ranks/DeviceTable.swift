public import ApusBase
internal import ApusTorch
internal import Foundation

/// What a server knows of the devices that took part: their times, and the depths that follow.
public struct DeviceTable: Sendable {
  private var capacities: [Int: DepthPlan.Capacity] = [:]
  private var depths: [Int: Int] = [:]

  /// Of no device yet.
  public init() {}

  /// Number of the last blocks that a client trains; all of them until it was measured.
  public func depth(of client: ClientID, of count: Int) -> Int { depths[client.index] ?? count }

  /// The times that an update reports.
  ///
  /// - Throws: ``ApusError`` `.invalidMessage` if one is missing or no number ≥ 0.
  public static func capacity(
    in update: Message, from client: ClientID
  ) throws(ApusError) -> DepthPlan.Capacity {
    var seconds: [Double] = []
    for name in ["forward_seconds", "layer_seconds", "rank_seconds"] {
      guard let value = update.fields[name]?.double, value >= 0, value.isFinite else {
        throw ApusError(
          .invalidMessage, at: "\(client), \(name)", "the update does not say how long it took",
          remedy: "Send the measured seconds with each update")
      }
      seconds.append(value)
    }
    return DepthPlan.Capacity(
      forwardSeconds: seconds[0], layerSeconds: seconds[1], rankSeconds: seconds[2])
  }

  /// Takes in a measurement; of what was known, ρ is kept.
  public mutating func measure(
    _ client: ClientID, _ capacity: DepthPlan.Capacity, keeping share: Double
  ) {
    let known = capacities[client.index]
    capacities[client.index] = known?.blended(with: capacity, keeping: share) ?? capacity
  }

  /// Chooses new depths for all devices that were measured; parameters as in ``DepthPlan``.
  public mutating func plan(
    ranks: [Int], lowest: Int, _ search: DepthPlan.Search, tolerance: Double
  ) -> DepthPlan {
    let known = capacities.sorted { $0.key < $1.key }
    let plan = DepthPlan(
      known.map(\.value), ranks: ranks, lowest: lowest, search: search, tolerance: tolerance)
    for ((client, _), depth) in zip(known, plan.depths) { depths[client] = depth }
    return plan
  }

  /// The table, for a snapshot.
  public var fields: [String: FieldValue] {
    var fields: [String: FieldValue] = [:]
    for (client, depth) in depths { fields["depth/\(client)"] = .int(depth) }
    for (client, capacity) in capacities {
      fields["forward/\(client)"] = .double(capacity.forwardSeconds)
      fields["layer/\(client)"] = .double(capacity.layerSeconds)
      fields["rank/\(client)"] = .double(capacity.rankSeconds)
    }
    return fields
  }

  /// Goes on from the fields of a snapshot; others are not looked at.
  public init(_ fields: [String: FieldValue]) {
    for (key, value) in fields {
      if let client = key.removing(prefix: "depth/").flatMap({ Int($0) }) {
        depths[client] = value.int
      }
      guard let client = key.removing(prefix: "forward/").flatMap({ Int($0) }),
        let forward = value.double, let layer = fields["layer/\(client)"]?.double,
        let rank = fields["rank/\(client)"]?.double
      else { continue }
      capacities[client] = DepthPlan.Capacity(
        forwardSeconds: forward, layerSeconds: layer, rankSeconds: rank)
    }
  }
}

/// What a client's device would measure in a round, from its traits and with its jitter.
public struct CapacityMeter {
  private let setting: ClientSetting
  private let round: Round

  /// The meter of a client in a round.
  public init(_ setting: ClientSetting, _ round: Round) {
    (self.setting, self.round) = (setting, round)
  }

  /// A third of a step's time is forward; the rest spreads over the blocks.
  ///
  /// - Parameter steps: Optimizer steps of the round.
  /// - Returns: Seconds of the round.
  public func capacity(steps: Int) -> DepthPlan.Capacity {
    var stream = round.random(of: setting.id).substream("device")
    let factor = exp(setting.device.jitter * stream.gaussian())
    let layers = max(1, SiteLayers(setting.factorPairs).count)
    let computing = setting.device.secondsPerStep * Double(steps) * factor
    let start = setting.trainer.initial
    let unit = setting.factorPairs.reduce(0) { sum, pair in
      sum + (start[pair.a]?.size(1) ?? 0) + (start[pair.b]?.size(0) ?? 0)
    }
    let speed = setting.device.uplinkBytesPerSecond
    return DepthPlan.Capacity(
      forwardSeconds: computing / 3, layerSeconds: computing * 2 / 3 / Double(layers),
      rankSeconds: speed > 0 ? 4 * Double(unit) / Double(layers) / speed * factor : 0)
  }
}
