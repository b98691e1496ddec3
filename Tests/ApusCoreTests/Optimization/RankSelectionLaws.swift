import ApusBase
import ApusCore
import ApusTorch
import Testing

@Suite struct RankSelectionLaws {
  @Test func `the best of all sites are chosen, not the best of each`() {
    let selection = RankSelection(scores: [[0.1, 9, 8], [7, 0.2], [0.3]], count: 3)
    #expect(selection.kept == [[1, 2], [0], []])
    #expect(selection.count == 3)
  }

  @Test func `equal scores are taken by site, then by rank`() {
    #expect(RankSelection(scores: [[0, 0], [0, 0]], count: 3).kept == [[0, 1], [0]])
    #expect(RankSelection(scores: [[0, .nan], [0, 1]], count: 3).kept == [[0], [0, 1]])
  }

  @Test(arguments: UInt64(0)..<20)
  func `smaller choices are part of larger ones, and each has its number`(seed: UInt64) {
    var stream = RandomStream(seed: seed)
    let scores = (0..<4).map { _ in
      (0..<(1 + stream.integer(below: 5))).map { _ in Double(stream.integer(below: 3)) }
    }
    let total = scores.reduce(0) { $0 + $1.count }
    var former = Set<[Int]>()
    for count in 0...(total + 1) {
      let kept = RankSelection(scores: scores, count: count).kept
      let places = Set(kept.enumerated().flatMap { site, ranks in ranks.map { [site, $0] } })
      #expect(places.count == min(count, total))
      #expect(former.isSubset(of: places))
      former = places
    }
  }

  @Test(arguments: UInt64(0)..<20)
  func `a choice comes back from its numbers`(seed: UInt64) {
    var stream = RandomStream(seed: seed)
    let ranks = (0..<4).map { _ in stream.integer(below: 4) }
    let scores = ranks.map { count in (0..<count).map { _ in stream.uniform() } }
    let selection = RankSelection(scores: scores, count: stream.integer(below: 9))
    #expect(RankSelection(flat: selection.flat(ranks: ranks), ranks: ranks) == selection)
  }

  @Test(arguments: [[1, 0], [0, 0], [-1, 2], [0, 5]])
  func `numbers that are no choice are refused`(flat: [Int]) {
    #expect(RankSelection(flat: flat, ranks: [2, 0, 3]) == nil)
  }
}

@Suite struct RunningMomentsLaws {
  @Test(arguments: [1, 3, 7, 40])
  func `merging blocks gives what all numbers give at once`(size: Int) {
    var stream = RandomStream(seed: 4)
    let all = Tensor.normal([40, 3], mean: 100, deviation: 0.01, stream: &stream)
    var merged = RunningMoments()
    for start in stride(from: 0, to: 40, by: size) {
      merged.add(all.sliced(0, start..<min(40, start + size)))
    }
    let values = all.to(.float64)
    #expect(merged.count == 120)
    #expect(abs(merged.mean - values.mean().item) < 1e-9)
    #expect(abs(merged.variance / values.variance().item - 1) < 1e-5)
  }

  @Test func `nothing and a single number have no variance`() {
    var moments = RunningMoments()
    moments.add(Tensor.zeros([0]))
    #expect(moments == RunningMoments())
    moments.add(Tensor.full([1], 3))
    #expect(moments.mean == 3 && moments.variance == 0)
  }
}
