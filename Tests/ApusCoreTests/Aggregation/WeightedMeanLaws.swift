import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

/// The mean of updates with weights, absorbed in this order.
private func mean(_ updates: [NamedTensors], _ weights: [Double]) throws -> NamedTensors {
  var mean = WeightedMean(like: try #require(updates.first))
  for (update, weight) in zip(updates, weights) {
    try mean.absorb(update, weight: weight, at: "here")
  }
  let finished = mean.finish()
  return try #require(finished)
}

@Suite struct WeightedMeanLaws {
  @Test(arguments: [1, 3, 7, 1_000, 60_000, Int.max], 0..<10 as Range<UInt64>)
  func `the mean of one update is that update, bit for bit`(samples: Int, seed: UInt64) throws {
    let values: [Float] = [
      0, -0.0, 0.1, -1 / 3, .leastNonzeroMagnitude, -.leastNormalMagnitude,
      .greatestFiniteMagnitude, 16_777_215,
    ]
    for update in drawnUpdates(1, seed: seed) + [vector(values)] {
      #expect(try mean([update], [Double(samples)]).isIdentical(to: update))
    }
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `neither a common factor of the weights nor the clients' order matters`(
    seed: UInt64
  ) throws {
    let (updates, weights) = (drawnUpdates(6, seed: seed), drawnWeights(6, seed: seed))
    let expected = try mean(updates, weights)
    for factor in [1e-6, 0.5, 3, 1e9] {
      let scaled = try mean(updates, weights.map { $0 * factor })
      expectClose(scaled, expected, absolute: 1e-7, relative: 1e-6)
    }
    var stream = RandomStream(seed: seed)
    let order = stream.shuffled(0..<6)
    let permuted = try mean(order.map { updates[$0] }, order.map { weights[$0] })
    expectClose(permuted, expected, absolute: 1e-7, relative: 1e-6)
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `it is the sum of the updates times shares that sum to 1`(seed: UInt64) throws {
    let (updates, weights) = (drawnUpdates(5, seed: seed), drawnWeights(5, seed: seed))
    let total = weights.reduce(0, +)
    for name in ["a", "b"] {
      let terms = try zip(updates, weights).map {
        try #require($0[name]).to(.float64) * ($1 / total)
      }
      let found = try #require(try mean(updates, weights)[name])
      expectClose(found, stacked(terms).sum([0]), absolute: 1e-7, relative: 1e-6, name)
    }
    let ones = NamedTensors(["x": Tensor.ones([3])])
    #expect(try mean(Array(repeating: ones, count: 5), weights).isIdentical(to: ones))
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func `equal updates give that update, bit for bit`(seed: UInt64) throws {
    let update = drawnUpdates(1, seed: seed)[0]
    let weights = drawnWeights(7, seed: seed)
    #expect(try mean(Array(repeating: update, count: 7), weights).isIdentical(to: update))
  }

  @Test func `an update of weight 0 changes nothing`() throws {
    let updates = drawnUpdates(2, seed: 3)
    #expect(try mean(updates, [5, 0]).isIdentical(to: updates[0]))
  }

  @Test func `without weight there is no mean, and the next round begins afresh`() throws {
    let updates = drawnUpdates(2, seed: 1)
    var mean = WeightedMean(like: updates[0])
    let ofNone = mean.finish()
    #expect(ofNone == nil)
    try mean.absorb(updates[0], weight: 0, at: "here")
    #expect(mean.count == 1)
    let ofNoWeight = mean.finish()
    #expect(ofNoWeight == nil)
    #expect(mean.count == 0)
    try mean.absorb(updates[1], weight: 2, at: "here")
    let fresh = mean.finish()
    #expect(fresh?.isIdentical(to: updates[1]) == true)
  }

  @Test func `half precision is averaged in full precision`() throws {
    let update = NamedTensors(["x": Tensor.full([2], 0.1, dtype: .bfloat16)])
    let found = try #require(try mean([update, update, update], [1, 1, 1])["x"])
    #expect(found.dtype == .float32)
    #expect(found.floats == update["x"]?.floats)
  }

  @Test func `memory is that of one update, not of a thousand`() async throws {
    await #expect(processExitsWith: .success) {
      // A thousand updates of 64 Ki elements are 256 MB; hoarding a fifth of them would show.
      var mean = WeightedMean(like: NamedTensors(["x": Tensor.zeros([1 << 16])]))
      var before = 0
      for index in 0..<1_000 {
        if index == 5 { before = ProcessMemory.resident }
        let update = NamedTensors(["x": Tensor.full([1 << 16], Double(index))])
        try mean.absorb(update, weight: 1, at: "here")
      }
      #expect(ProcessMemory.resident - before < 50 << 20)
      #expect(mean.count == 1_000)
    }
  }
}
