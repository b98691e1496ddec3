import ApusBase
import ApusDatasets
import Testing

@Suite struct BatchPlanLaws {
  @Test(arguments: [0, 1, 15, 16, 17, 100], [1, 16, 1000])
  func `an epoch visits every example once`(count: Int, batchSize: Int) throws {
    let plan = try BatchPlan.shuffled(
      count: count, batchSize: batchSize, random: RandomStream(seed: 1))
    #expect(plan.permutation.sorted() == Array(0..<count))
    #expect(plan.batches.count == (count + batchSize - 1) / batchSize)
    #expect(plan.batches.dropLast().allSatisfy { $0.count == batchSize })
    #expect(plan.batches.allSatisfy { !$0.isEmpty })
    #expect(plan.exampleCount == count)
  }

  @Test func `passes differ and repeat with their stream`() throws {
    let random = RandomStream(seed: 1)
    let plans = try [0, 0, 1].map {
      try BatchPlan.shuffled(count: 50, batchSize: 8, random: random.substream("epoch", $0))
    }
    #expect(plans[0] == plans[1])
    #expect(plans[0] != plans[2])
  }

  @Test(arguments: 0..<20)
  func `batches by length keep the budget and waste no room`(seed: UInt64) throws {
    var random = RandomStream(seed: seed)
    let lengths = (0..<200).map { _ in random.integer(below: 130) }
    let budget = 512
    let plan = try BatchPlan.sortedByLength(lengths, tokenBudget: budget)
    #expect(plan.permutation.sorted() == Array(0..<200))
    #expect(plan.permutation.map { lengths[$0] } == lengths.sorted())
    for (batch, next) in zip(plan.batches, plan.batches.dropFirst()) {
      #expect(batch.count * (batch.map { lengths[$0] }.max() ?? 0) <= budget)
      #expect((batch.count + 1) * lengths[next[0]] > budget)
    }
    let results = plan.batches.flatMap { $0.map { "result \($0)" } }
    #expect(plan.restored(results) == (0..<200).map { "result \($0)" })
  }

  @Test func `an example beyond the budget is a batch of its own`() throws {
    let plan = try BatchPlan.sortedByLength([900, 3, .max, 4], tokenBudget: 8)
    #expect(plan.batches == [[1, 3], [0], [2]])
    #expect(try BatchPlan.sortedByLength([], tokenBudget: 8).batches.isEmpty)
  }

  @Test func `sizes that make no batch are answered`() throws {
    let random = RandomStream(seed: 1)
    let size = try failure { try BatchPlan.shuffled(count: 3, batchSize: 0, random: random) }
    #expect(size.description.contains("batch-size: 0 examples make no batch"))
    #expect(
      try failure { try BatchPlan.sortedByLength([1], tokenBudget: 0) }.code == .invalidConfig)
  }
}
