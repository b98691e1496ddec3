public import ApusBase
public import Foundation

/// `debian-packages`: real text with real owners that every Debian machine already has.
///
/// The text is a package's one-line description, the class one of twelve topics made of the
/// archive's sections, the client the maintainer: the largest teams are one client each, and
/// individuals are spread over a few more by their name. So the skew of the topics is natural.
/// Only the first version of a package and the first of like descriptions count; transitional
/// packages and debug symbols are left out. Stanzas that cannot be read are counted and skipped.
public struct DebianPackages: Hashable, Codable, Sendable {
  /// Most teams that become clients, the largest first; ≥ 0.
  public var teams = 12
  /// Clients that individual maintainers are spread over; ≥ 0.
  public var groups = 8
  /// Most packages of a client, drawn at random; ≥ 1.
  public var rowsPerClient = 200
  /// Fewest packages of a client; smaller ones are left out.
  public var minimum = 20

  public init() {}

  private enum CodingKeys: String, CodingKey {
    case teams
    case groups
    case rowsPerClient = "rows-per-client"
    case minimum
  }

  /// Decodes the options; one that is not given has its default.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    teams = try fields.decodeIfPresent(Int.self, forKey: .teams) ?? teams
    groups = try fields.decodeIfPresent(Int.self, forKey: .groups) ?? groups
    rowsPerClient = try fields.decodeIfPresent(Int.self, forKey: .rowsPerClient) ?? rowsPerClient
    minimum = try fields.decodeIfPresent(Int.self, forKey: .minimum) ?? minimum
  }

  /// Reads the catalogue of this machine.
  ///
  /// - Parameter random: Draws the packages of clients that have more than the most.
  /// - Returns: Examples with class and client, client by client.
  /// - Throws: ``ApusError`` `.unsupported` if the machine has no `apt-cache`, `.fileAccess` if
  ///   it fails, `.invalidData` if the catalogue holds too little, `.invalidConfig` for options
  ///   out of range.
  public func load(random: RandomStream) throws(ApusError) -> Dataset {
    let searchPath = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    return try load(searchPath: searchPath, random: random)
  }

  /// Reads the catalogue with the tool found along `searchPath`.
  func load(searchPath: String, random: RandomStream) throws(ApusError) -> Dataset {
    try checkOptions()
    let catalogue = try DebianCatalogueTool.run(searchPath: searchPath) { bytes throws(ApusError) in
      try DebianCatalogue(DebianStanzaReader(bytes, file: "apt-cache dumpavail"))
    }
    return try dataset(of: catalogue, random: random)
  }

  /// Reads a catalogue that was saved to a file.
  ///
  /// - Parameters:
  ///   - file: Output of `apt-cache dumpavail`, or a `Packages` file of an archive.
  ///   - random: Draws the packages of clients that have more than the most.
  /// - Returns: Examples with class and client, client by client.
  /// - Throws: ``ApusError`` as ``load(random:)``.
  public func load(from file: URL, random: RandomStream) throws(ApusError) -> Dataset {
    try checkOptions()
    let reader = DebianStanzaReader(try ByteReader(file: file), file: file.relativePath)
    return try dataset(of: DebianCatalogue(reader), random: random)
  }

  private func dataset(
    of catalogue: DebianCatalogue, random: RandomStream
  ) throws(ApusError) -> Dataset {
    var examples: [Example] = []
    for (client, packages) in clients(of: catalogue.packages) where packages.count >= minimum {
      var draw = random.substream(client)
      let chosen = draw.sample(min(rowsPerClient, packages.count), below: packages.count)
      examples += chosen.map { index in
        let package = packages[index]
        return Example(
          text: package.summary, label: package.topic, client: client, source: package.source)
      }
    }
    guard !examples.isEmpty else {
      throw ApusError(
        .invalidData, at: "debian-packages",
        "the catalogue gives \(catalogue.packages.count) packages with a topic, and no client "
          + "has \(minimum) of them",
        remedy: "Run \"apt-get update\" to fill the catalogue, or lower the minimum")
    }
    return try Dataset(
      name: "debian-packages", examples: examples, labelNames: DebianTopics.names,
      skipped: catalogue.skipped)
  }

  /// The packages of each client: the largest teams, then the groups of individuals.
  private func clients(
    of packages: [DebianCatalogue.Package]
  ) -> [(name: String, packages: [DebianCatalogue.Package])] {
    let individuals = packages.filter { !$0.maintainer.isTeam }
    let byTeam = Dictionary(
      grouping: packages.filter(\.maintainer.isTeam), by: \.maintainer.teamKey)
    let largest = byTeam.sorted {
      ($1.value.count, $0.key) < ($0.value.count, $1.key)
    }.prefix(teams)
    let ofTeams = largest.map { (Self.commonName($0.value), $0.value) }
    let ofGroups = (0..<groups).map { group in
      let members = individuals.filter { $0.maintainer.group(of: groups) == group }
      return ("Individual maintainers \(group + 1)", members)
    }
    return ofTeams + ofGroups
  }

  /// The name that most of a team's packages give it.
  private static func commonName(_ packages: [DebianCatalogue.Package]) -> String {
    let byName = Dictionary(grouping: packages, by: \.maintainer.name)
    let first = byName.min { ($1.value.count, $0.key) < ($0.value.count, $1.key) }
    return first?.key ?? ""
  }

  private func checkOptions() throws(ApusError) {
    let limits = [
      ("teams", teams, 0), ("groups", groups, 0), ("rows-per-client", rowsPerClient, 1),
      ("minimum", minimum, 0), ("teams and groups", teams + groups, 1),
    ]
    for (option, value, least) in limits where value < least {
      throw ApusError(
        .invalidConfig, at: "debian-packages, \(option)", "\(value) is below \(least)",
        remedy: "Use \(least) or more")
    }
  }
}
