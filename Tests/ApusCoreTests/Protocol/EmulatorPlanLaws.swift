import ApusBase
import ApusCore
import Testing

@Suite struct EmulatorPlanLaws {
  // Card FedBiOT, property 2: of 30 lower blocks 24 stay at β = 0.2 and 15 at β = 0.5.
  @Test(arguments: [(0.0, 30), (0.2, 24), (0.5, 15), (0.95, 2)])
  func `blocks are left out evenly, never the first or the last`(share: Double, count: Int) throws {
    let kept = try EmulatorPlan(dropShare: share, adaptedBlocks: 2).kept(of: 32)
    #expect(kept.count == count)
    #expect(kept.first == 0 && kept.last == 29)
    #expect(zip(kept, kept.dropFirst()).allSatisfy { $0 < $1 })
    let gaps = zip(kept, kept.dropFirst()).map { $1 - $0 }
    #expect(try #require(gaps.max()) - #require(gaps.min()) <= 1)
  }

  @Test func `half of an odd number is rounded as in the reference code, to even`() throws {
    #expect(try EmulatorPlan(dropShare: 0.5, adaptedBlocks: 1).kept(of: 6) == [0, 4])
    #expect(try EmulatorPlan(dropShare: 0.5, adaptedBlocks: 1).kept(of: 8) == [0, 2, 4, 6])
    #expect(try EmulatorPlan(dropShare: 0.9, adaptedBlocks: 1).kept(of: 4) == [0])
  }

  @Test func `every block is adapted, evaluated or skipped`() throws {
    let modes = try EmulatorPlan(dropShare: 0.5, adaptedBlocks: 2).modes(of: 6)
    #expect(modes == [.evaluated, .skipped, .skipped, .evaluated, .asGiven, .asGiven])
    let all = try EmulatorPlan(dropShare: 0, adaptedBlocks: 1).modes(of: 3)
    #expect(all == [.evaluated, .evaluated, .asGiven])
  }

  @Test(arguments: [0, 4, 5])
  func `a cut that leaves one side empty is refused`(adapted: Int) {
    let error = #expect(throws: ApusError.self) {
      try EmulatorPlan(dropShare: 0, adaptedBlocks: adapted).modes(of: 4)
    }
    #expect(error?.code == .invalidConfig)
  }
}
