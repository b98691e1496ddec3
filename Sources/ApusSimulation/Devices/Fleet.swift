public import ApusBase

/// Which device each client has.
public struct Fleet: Sendable, Equatable {
  /// A profile and how common it is; shares are relative and need not sum to 1.
  public struct Part: Sendable, Equatable {
    /// The device.
    public let profile: DeviceProfile
    /// Relative share of the clients.
    public let share: Double

    /// Gives a profile its share.
    public init(_ profile: DeviceProfile, share: Double) {
      self.profile = profile
      self.share = share
    }
  }

  private let parts: [Part]
  private let stream: RandomStream

  /// The same device for everyone.
  public init(all profile: DeviceProfile = .ideal) {
    parts = [Part(profile, share: 1)]
    stream = RandomStream(seed: 0)
  }

  /// Draws each client's device from a mix.
  ///
  /// - Parameters:
  ///   - parts: The mix.
  ///   - root: Root stream of the run; a client's device depends on it and its index only.
  /// - Throws: ``ApusError`` `.invalidConfig` for an empty mix, a share that is no number ≥ 0, or
  ///   a profile that makes no sense.
  public init(mix parts: [Part], root: RandomStream) throws(ApusError) {
    guard parts.contains(where: { $0.share > 0 }),
      parts.allSatisfy({ $0.share >= 0 && $0.share.isFinite })
    else {
      throw ApusError(
        .invalidConfig, at: "fleet", "the shares \(parts.map(\.share)) make no mix",
        remedy: "Give shares ≥ 0, one of them positive")
    }
    self.parts = parts
    stream = root.substream("fleet")
    try validate()
  }

  /// Refuses profiles that make no sense.
  func validate() throws(ApusError) {
    for part in parts {
      do { try part.profile.validate() } catch { throw error.located(in: part.profile.name) }
    }
  }

  /// Draws each client's device from a mix of the catalogue.
  ///
  /// - Parameters:
  ///   - name: `ideal`, `data-center`, `cross-silo`, `phones` or `edge`.
  ///   - root: Root stream of the run.
  /// - Throws: ``ApusError`` `.invalidConfig` for an unknown name.
  public init(named name: String, root: RandomStream) throws(ApusError) {
    guard let mix = Self.mixes.first(where: { $0.name == name }) else {
      throw ApusError(
        .invalidConfig, at: "fleet", "there is no fleet \"\(name)\"",
        remedy: Spelling.remedy(for: name, allowed: Self.names))
    }
    try self.init(mix: mix.parts, root: root)
  }

  /// Names of the mixes of the catalogue.
  public static let names = mixes.map(\.name)

  /// The device of the client with this index.
  public func device(of client: Int) -> DeviceProfile {
    guard parts.count > 1 else { return parts[0].profile }
    var draw = stream.substream("client", client)
    return parts[draw.index(weightedBy: parts.map(\.share))].profile
  }

  private static let mixes: [(name: String, parts: [Part])] = [
    ("ideal", [Part(.ideal, share: 1)]),
    ("data-center", [Part(.server, share: 1)]),
    ("cross-silo", [Part(.server, share: 0.4), Part(.workstation, share: 0.6)]),
    ("phones", [Part(.phone, share: 1)]),
    (
      "edge",
      [
        Part(.workstation, share: 0.1), Part(.laptop, share: 0.3), Part(.phone, share: 0.4),
        Part(.board, share: 0.2),
      ]
    ),
  ]
}
