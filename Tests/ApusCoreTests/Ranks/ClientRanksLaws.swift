import ApusBase
import ApusCore
import Testing

private let root = RandomStream(seed: 4)

private func makeRanks(_ rule: ClientRanks.Rule, _ list: [Int] = []) -> ClientRanks {
  var ranks = ClientRanks()
  (ranks.rule, ranks.list) = (rule, list)
  return ranks
}

private func rank(
  _ ranks: ClientRanks, _ index: Int, adapterRank: Int = 8, device: DeviceTraits = .ideal
) -> Int {
  ranks.rank(
    of: ClientID(index: index, name: "c"), adapterRank: adapterRank, device: device, random: root)
}

@Suite struct ClientRanksLaws {
  @Test func `equal ranks are the adapter's, listed ones go round`() {
    #expect((0..<9).allSatisfy { rank(makeRanks(.equal), $0) == 8 })
    let found = (0..<5).map { rank(makeRanks(.listed, [2, 4, 16]), $0) }
    #expect(found == [2, 4, 16, 2, 4])
  }

  @Test func `a drawn rank depends on seed and client alone, and is as common as its share`() {
    var ranks = makeRanks(.drawn, [2, 4, 8])
    ranks.shares = [0.8, 0.2, 0]
    let drawn = (0..<2_000).map { rank(ranks, $0) }
    #expect(drawn == (0..<2_000).map { rank(ranks, $0) })
    #expect(!drawn.contains(8))
    #expect(abs(Double(drawn.filter { $0 == 2 }.count) / 2_000 - 0.8) < 0.04)
    ranks.shares = []
    #expect(Set((0..<200).map { rank(ranks, $0) }) == [2, 4, 8])
  }

  @Test func `a power law reaches from the minimum to the adapter's rank, mostly low`() {
    var ranks = makeRanks(.powerLaw)
    ranks.minimum = 3
    let drawn = (0..<2_000).map { rank(ranks, $0, adapterRank: 10) }
    #expect(drawn.min() == 3 && drawn.max() == 10)
    // P(U^10 < 1/8) = (1/8)^0.1 = 0.81
    #expect(abs(Double(drawn.filter { $0 == 3 }.count) / 2_000 - 0.812) < 0.04)
    #expect((0..<50).allSatisfy { rank(ranks, $0, adapterRank: 2) == 2 })
  }

  @Test func `a device has its rank, others the adapter's`() {
    var ranks = makeRanks(.device)
    ranks.devices = ["phone": 2, "server": 32]
    #expect(rank(ranks, 0, device: DeviceTraits(name: "phone")) == 2)
    #expect(rank(ranks, 0, device: DeviceTraits(name: "laptop")) == 8)
    #expect(ranks.highestRank(adapterRank: 8) == 32)
    #expect(makeRanks(.listed, [2, 3]).highestRank(adapterRank: 8) == 3)
    #expect(makeRanks(.powerLaw).highestRank(adapterRank: 8) == 8)
  }

  @Test func `settings that give no rank are refused`() {
    var uneven = makeRanks(.drawn, [2, 4])
    uneven.shares = [1]
    var none = makeRanks(.drawn, [2, 4])
    none.shares = [0, 0]
    var flat = makeRanks(.powerLaw)
    flat.exponent = 0
    for bad in [
      makeRanks(.listed), makeRanks(.drawn), makeRanks(.device), makeRanks(.listed, [0]), uneven,
      none, flat,
    ] {
      #expect(throws: ApusError.self) { try bad.validate() }
    }
    for rule in ClientRanks.Rule.allCases where rule != .device {
      #expect(throws: Never.self) { try makeRanks(rule, [1, 2]).validate() }
    }
  }
}
