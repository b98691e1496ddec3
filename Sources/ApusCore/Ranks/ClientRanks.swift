public import ApusBase
import Foundation

/// Which LoRA rank each client has, as a setting.
///
/// A client's rank depends on the run's seed and on its own place or device alone, so both sides of
/// a federation and every resumed run give it the same.
public struct ClientRanks: OptionGroup, Equatable {
  /// Where the rank comes from.
  public enum Rule: String, Codable, Sendable, CaseIterable {
    /// The adapter's rank for everyone.
    case equal
    /// `list`, one for each client in turn, from the start again if there are more clients.
    case listed
    /// Drawn from `list` with the relative `shares`.
    case drawn
    /// Drawn from a power law between `minimum` and the adapter's rank, mostly small ones.
    case powerLaw = "power-law"
    /// That of the client's device in `devices`, the adapter's rank for others.
    case device
  }

  /// Where the rank comes from.
  public var rule = Rule.equal
  /// The ranks to give or to draw from.
  public var list: [Int] = []
  /// How common each rank of `list` is; relative, and empty for all alike.
  public var shares: [Double] = []
  /// The lowest rank of the power law.
  public var minimum = 1
  /// a of the power law, whose density is proportional to x^(a − 1) for x in 0…1.
  public var exponent = 0.1
  /// Ranks by the name of a device's profile.
  public var devices: [String: Int] = [:]

  public init() {}

  public func validate() throws(ApusError) {
    let all = [("list", list), ("devices", Array(devices.values)), ("minimum", [minimum])]
    for (key, ranks) in all {
      try require(
        ranks.allSatisfy { $0 >= 1 }, key, "a rank is below 1", remedy: "Give numbers ≥ 1")
    }
    let needsList = rule == .listed || rule == .drawn
    try require(
      !needsList || !list.isEmpty, "list", "there is no rank to give",
      remedy: "List the ranks, such as [2, 4, 8]")
    try require(
      shares.isEmpty || shares.count == list.count, "shares",
      "there are \(shares.count) shares for \(list.count) ranks",
      remedy: "Give one share for each rank, or none")
    let isMix = shares.isEmpty || shares.contains { $0 > 0 }
    try require(
      isMix && shares.allSatisfy { $0 >= 0 && $0.isFinite }, "shares", "\(shares) make no mix",
      remedy: "Give shares ≥ 0, one of them positive")
    try require(
      exponent > 0 && exponent.isFinite, "exponent", "\(exponent) is no exponent of a power law",
      remedy: "Give a number > 0; below 1 small ranks are common")
    try require(
      rule != .device || !devices.isEmpty, "devices", "no device has a rank",
      remedy: "Name profiles with their ranks, such as {phone: 4, laptop: 16}")
  }

  /// The rank of one client.
  ///
  /// - Parameters:
  ///   - client: Whose.
  ///   - adapterRank: Rank of the adapter as the experiment configures it.
  ///   - device: What the client runs on.
  ///   - random: Stream of the run, from which the client's own is taken.
  /// - Returns: A rank ≥ 1; it may exceed what a small projection can hold.
  public func rank(
    of client: ClientID, adapterRank: Int, device: DeviceTraits, random: RandomStream
  ) -> Int {
    var stream = random.substream("rank", client.index)
    switch rule {
    case .equal: return adapterRank
    case .listed: return list.isEmpty ? adapterRank : list[client.index % list.count]
    case .drawn:
      guard !list.isEmpty else { return adapterRank }
      return list[
        shares.isEmpty
          ? stream.integer(below: list.count) : stream.index(weightedBy: shares)]
    case .powerLaw:
      let lowest = min(minimum, adapterRank)
      let position = pow(stream.uniform(), 1 / exponent)
      return min(adapterRank, lowest + Int(position * Double(adapterRank - lowest + 1)))
    case .device: return devices[device.name] ?? adapterRank
    }
  }

  /// The highest rank that any client can have.
  public func highestRank(adapterRank: Int) -> Int {
    switch rule {
    case .equal, .powerLaw: adapterRank
    case .listed, .drawn: list.max() ?? adapterRank
    case .device: max(adapterRank, devices.values.max() ?? 0)
    }
  }
}
