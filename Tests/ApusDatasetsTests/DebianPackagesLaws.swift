import ApusBase
import ApusTestSupport
import Foundation
import Testing

@testable import ApusDatasets

@Suite struct DebianPackagesLaws {
  /// This machine's catalogue; nil without the tool or before the first `apt-get update`.
  private static let catalogue = try? DebianPackages().load(random: RandomStream(seed: 1))

  private let fixture = packageRoot.appendingPathComponent("Tests/Fixtures/datasets/packages.txt")

  private func small() -> DebianPackages {
    var packages = DebianPackages()
    packages.teams = 2
    packages.groups = 1
    packages.minimum = 1
    return packages
  }

  @Test func `stanzas become examples of teams and individuals`() throws {
    let data = try small().load(from: fixture, random: RandomStream(seed: 1))
    let rows = data.examples.map { example in
      [example.client ?? "", example.label.map { data.labelNames[$0] } ?? "", example.text]
    }
    #expect(
      rows == [
        ["Example Games Team", "games", "dig for ore on distant moons"],
        ["Example Games Team", "games", "levels for star-miner"],
        ["Example Games Team", "games", "boxes that hide a puzzle"],
        ["Example Type Packagers", "fonts", "slab serif font for posters"],
        ["Example Type Packagers", "fonts", "Füße: italic slab serif font"],
        ["Individual maintainers 1", "web", "small web server"],
        ["Individual maintainers 1", "network", "reads mail on a terminal"],
        ["Individual maintainers 1", "science", "plots functions of two variables"],
      ])
    #expect(data.examples[0].source.line == 1)
    #expect(data.labelNames.count == 12)
    #expect(data.labelNames == data.labelNames.sorted())
  }

  @Test func `unreadable stanzas are counted and named`() throws {
    let skipped = try small().load(from: fixture, random: RandomStream(seed: 1)).skipped
    #expect(skipped.count == 2)
    #expect(skipped.reports[0].contains("packages.txt:60: the package lacks"))
    #expect(skipped.reports[1].contains("packages.txt:64: the line is no field"))
  }

  @Test func `a cap draws by the stream and a minimum leaves out`() throws {
    var packages = small()
    packages.rowsPerClient = 2
    packages.minimum = 3
    let data = try packages.load(from: fixture, random: RandomStream(seed: 1))
    #expect(data.count == 4)
    #expect(Set(data.examples.map(\.client)) == ["Example Games Team", "Individual maintainers 1"])
    let again = try packages.load(from: fixture, random: RandomStream(seed: 1))
    #expect(data.examples == again.examples)
  }

  @Test(arguments: [
    ("Debian Fonts Task Force <x@lists.debian.org>", true, "debian fonts"),
    ("Debian Go Packaging Team <team+pkg-go@tracker.debian.org>", true, "debian go"),
    ("\"Debian Science\" Team <a@b.c>", true, "debian science"),
    ("Debian OpenStack <team+openstack@tracker.debian.org>", true, "debian openstack"),
    ("Kylin Team", true, "kylin"), ("Ada Example <ada@example.org>", false, "ada example"),
    ("<x@y>", false, ""), ("", false, ""),
  ])
  func `teams are told from individuals`(field: String, isTeam: Bool, key: String) {
    let maintainer = DebianMaintainer(field)
    #expect(maintainer.isTeam == isTeam)
    #expect(maintainer.teamKey == key)
  }

  @Test func `names fall into the same group everywhere`() {
    // FNV-1a of "a" is AF63DC4C8601EC8C.
    let hash: UInt64 = 0xAF63_DC4C_8601_EC8C
    #expect(DebianMaintainer("a <a@example.org>").group(of: 1_000) == Int(hash % 1_000))
  }

  @Test func `a machine without the tool is told in one sentence`() throws {
    let error = try failure {
      try DebianPackages().load(searchPath: "/nowhere", random: RandomStream(seed: 1))
    }
    #expect(error.code == .unsupported)
    #expect(error.description.contains("debian-packages: this machine has no apt-cache"))
  }

  @Test func `a tool that fails is an error, as is a catalogue that is too small`() throws {
    try withFile("apt-cache", "#!/bin/sh\nexit 3\n".utf8) { url in
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: url.path)
      let folder = url.deletingLastPathComponent().path
      let error = try failure {
        try DebianPackages().load(searchPath: folder, random: RandomStream(seed: 1))
      }
      #expect(error.problem == "it ended with status 3")
    }
    let small = try failure {
      try DebianPackages().load(from: fixture, random: RandomStream(seed: 1))
    }
    #expect(small.remedy.contains("apt-get update"))
  }

  @Test func `options out of range are answered`() throws {
    var packages = DebianPackages()
    packages.rowsPerClient = 0
    let error = try failure { try packages.load(from: fixture, random: RandomStream(seed: 1)) }
    #expect(error.description.contains("debian-packages, rows-per-client: 0 is below 1"))
  }

  @Test(
    .enabled(
      if: (catalogue?.count ?? 0) > 2_000, "needs a Debian machine with a filled catalogue"))
  func `this machine's catalogue is skewed by nature and has no dominant topic`() throws {
    let data = try #require(Self.catalogue)
    let partition = try NaturalPartitioner().partition(data, random: RandomStream(seed: 1))
    let report = try HeterogeneityReport(partition, of: data)
    #expect(report.labelNames.count == 12)
    #expect(report.majorityShare < 0.25)
    #expect(report.meanTotalVariation > 0.3)
    #expect(partition.sizes.allSatisfy { (20...200).contains($0) })
    #expect(Set(data.examples.map(\.text)).count == data.count)
    #expect(partition.verify(against: data, declared: PartitionSpecification(.natural)).isEmpty)
    #expect(data.skipped.count * 100 < data.count)
  }
}
