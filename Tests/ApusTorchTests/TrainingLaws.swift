import ApusBase
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private let schedules: [(name: String, decay: LearningRateSchedule.Decay, warmup: Int)] = [
  ("constant", .constant, 0), ("constant.warmup", .constant, 10), ("linear", .linear, 10),
  ("cosine", .cosine(cycles: 0.5), 10), ("cosine.cycles", .cosine(cycles: 1.25), 10),
  ("polynomial", .polynomial(power: 1, end: 1e-7 / 0.5), 10),
  ("polynomial.power", .polynomial(power: 2.5, end: 0.2), 10),
]

@Suite struct LearningRateLaws {
  @Test(arguments: schedules.indices)
  func `factors are those of transformers, with warm-up in steps or as a share`(
    index: Int
  ) throws {
    let (name, decay, warmup) = schedules[index]
    let file = try SafetensorsFile(contentsOf: fixtures.appending(path: "schedules.safetensors"))
    let expected = try file.tensor(name)
    for warmup in [LearningRateSchedule.Warmup.steps(warmup), .share(Double(warmup) / 100)] {
      let schedule = try LearningRateSchedule(decay, warmup: warmup)
      let found = (0..<120).map { schedule.factor(step: $0, of: 100) }
      expectClose(
        Tensor(found, shape: [120]), expected, absolute: 1e-15, relative: 1e-12, name)
    }
  }

  @Test func `factors stay within 0 and 1 when all steps are warm-up or there is one`() throws {
    for (_, decay, _) in schedules {
      for (warmup, total) in [(10, 10), (20, 10), (0, 1), (1, 1), (0, 0)] {
        let schedule = try LearningRateSchedule(decay, warmup: .steps(warmup))
        for step in 0..<25 { #expect(0...1 ~= schedule.factor(step: step, of: total)) }
      }
    }
  }

  @Test func `numbers out of range are refused`() {
    for decay in [LearningRateSchedule.Decay.cosine(cycles: 0), .polynomial(power: 1, end: 1)] {
      #expect(throws: ApusError.self) { try LearningRateSchedule(decay) }
    }
    #expect(throws: ApusError.self) { try LearningRateSchedule(.linear, warmup: .share(1.5)) }
    #expect(throws: ApusError.self) { try LearningRateSchedule(.linear, warmup: .steps(-1)) }
  }
}

@Suite struct GradientClippingLaws {
  @Test(arguments: 0..<20 as Range<UInt64>)
  func `clipped gradients have the norm asked for and the old direction`(seed: UInt64) throws {
    let gradients = [drawn([3, 4], seed: seed), nil, drawn([5], seed: seed + 100, deviation: 10)]
    let (small, norm) = clipped(gradients, toNorm: 0.5)
    let squares = gradients.compactMap { $0?.doubles }.joined().map { $0 * $0 }
    let exact = squares.reduce(0, +).squareRoot()
    #expect(abs(norm - exact) < 1e-6 * exact)
    #expect(small[1] == nil)
    for (before, after) in zip(gradients, small) {
      guard let before, let after else { continue }
      expectClose(
        after, before * (0.5 / (exact + 1e-6)), absolute: 1e-9, relative: 1e-6, "seed \(seed)")
    }
    #expect(abs(globalNorm(of: small) - 0.5) < 1e-5)
  }

  @Test func `gradients below the norm keep every bit`() throws {
    let gradient = drawn([6], seed: 3)
    let (kept, norm) = clipped([gradient], toNorm: 100)
    #expect(kept[0]?.isIdentical(to: gradient) == true)
    #expect(norm > 0)
    #expect(clipped([nil], toNorm: 1).norm == 0)
  }

  @Test(arguments: [Float.nan, .infinity])
  func `a norm that is not finite is shown and changes nothing`(value: Float) {
    let gradient = Tensor([1, value], shape: [2])
    let (kept, norm) = clipped([gradient], toNorm: 1)
    #expect(!norm.isFinite)
    #expect(kept[0]?.isIdentical(to: gradient) == true)
  }

  @Test func `clipping by value bounds every element`() {
    let gradient = Tensor([-3, -0.5, 0, 2] as [Float], shape: [4])
    #expect(clipped([gradient, nil], toValue: 1)[0]?.floats == [-1, -0.5, 0, 1])
  }
}
