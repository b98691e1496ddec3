import ApusBase
import ApusTorch
import Testing

/// A plan and the head size that it is tried with.
private struct Trial: Sendable, CustomTestStringConvertible {
  let testDescription: String
  let attention: PackedAttention
  let size: Int

  var shapes: [[Int]] {
    let (rows, keys) = (attention.lengths.reduce(0, +), attention.keyLengths.reduce(0, +))
    let width = attention.keyHeads * size
    return [[rows, width * attention.queriesPerKey], [keys, width], [keys, width]]
  }
}

private let trials = [
  Trial(
    testDescription: "examples of many lengths",
    attention: PackedAttention(lengths: [1, 7, 33, 80, 16], keyHeads: 3, scale: 0.3), size: 20),
  Trial(
    testDescription: "queries over other texts",
    attention: PackedAttention(
      lengths: [5, 40, 2], keyLengths: [19, 3, 64], keyHeads: 2, scale: 0.5), size: 8),
  Trial(
    testDescription: "causal, three queries to a key",
    attention: PackedAttention(
      lengths: [37, 1, 66], keyHeads: 2, queriesPerKey: 3, scale: 0.2, isCausal: true), size: 16),
  Trial(
    testDescription: "causal in a window",
    attention: PackedAttention(
      lengths: [50, 9], keyHeads: 1, queriesPerKey: 2, scale: 0.4, isCausal: true, window: 4),
    size: 32),
]

private let stream = RandomStream(seed: 5)

/// Context and gradients of inputs that are drawn in float64 and rounded to the dtype.
private func run(
  _ trial: Trial, _ dtype: DType, probability: Double
) throws -> [[Double]] {
  let inputs = trial.shapes.enumerated().map {
    drawn($1, seed: UInt64($0), dtype: .float64).to(.bfloat16).to(dtype).requiringGradient()
  }
  let context = trial.attention(
    inputs[0], inputs[1], inputs[2], dropout: probability > 0 ? (probability, stream) : nil)
  let seed = drawn(context.shape, seed: 99, dtype: .float64).to(.bfloat16).to(dtype)
  let gradients = (context * seed).sum().gradients(by: inputs)
  try Tensor.check(trial.testDescription)
  return try [context.doubles] + gradients.map { try #require($0).doubles }
}

@Suite struct PackedAttentionLaws {
  @Test(arguments: trials, [0, 0.25])
  fileprivate func `context and gradients are those of plain operations in float64`(
    trial: Trial, probability: Double
  ) throws {
    let expected = try run(trial, .float64, probability: probability)
    for (dtype, tolerance) in [(DType.float32, 2e-6), (.bfloat16, 1e-2)] {
      let found = try run(trial, dtype, probability: probability)
      for (index, (one, other)) in zip(found, expected).enumerated() {
        let scale = other.map(abs).max() ?? 0
        let gap = zip(one, other).map { abs($0 - $1) }.max() ?? .infinity
        #expect(gap <= tolerance * scale, "\(dtype) \(index)")
      }
    }
  }

  @Test(arguments: trials)
  fileprivate func `a gradient can be differentiated, with the same dropout`(trial: Trial) throws {
    func slopes(_ dtype: DType) throws -> [[Double]] {
      let inputs = trial.shapes.enumerated().map {
        drawn($1, seed: UInt64($0), dtype: .float64).to(dtype).requiringGradient()
      }
      let context = trial.attention(inputs[0], inputs[1], inputs[2], dropout: (0.25, stream))
      let first = context.squared.sum().gradients(by: inputs, createGraph: true)
      let total = try first.map { try #require($0).squared.sum() }.reduce(Tensor.zeros([]), +)
      let second = total.gradients(by: inputs)
      try Tensor.check(trial.testDescription)
      return try second.map { try #require($0).doubles }
    }
    for (one, other) in zip(try slopes(.float32), try slopes(.float64)) {
      let scale = other.map(abs).max() ?? 0
      #expect(zip(one, other).allSatisfy { abs($0 - $1) <= 1e-5 * scale })
    }
  }

  @Test func `inputs that do not train have no part in a gradient's gradient`() throws {
    let rows = drawn([5, 4], seed: 1, dtype: .float32)
    let queries = drawn([5, 4], seed: 2, dtype: .float32).requiringGradient()
    let context = PackedAttention(lengths: [5], keyHeads: 1, scale: 1)(queries, rows, rows)
    let slope = context.squared.sum().gradients(by: [queries], createGraph: true)
    let second = try #require(slope[0]).squared.sum().gradients(by: [queries])
    try Tensor.check("gradient's gradient")
    #expect(try #require(second[0]).squared.sum().item > 0)
  }

  @Test func `a slice of wider rows is read in place`() throws {
    let wide = drawn([9, 24], seed: 3, dtype: .float32)
    let parts = (0..<3).map { wide.sliced(1, ($0 * 8)..<($0 * 8 + 8)) }
    let attention = PackedAttention(lengths: [4, 5], keyHeads: 2, scale: 1)
    let apart = attention(parts[0], parts[1], parts[2])
    let copied = parts.map { $0.contiguous() }
    #expect(apart.doubles == attention(copied[0], copied[1], copied[2]).doubles)
  }

  @Test func `rows that do not fit the plan are an error`() {
    let attention = PackedAttention(lengths: [4, 5], keyHeads: 2, scale: 1)
    let rows = Tensor.zeros([8, 8])
    _ = attention(rows, rows, rows)
    #expect(throws: ApusError.self) { try Tensor.check("attention") }
  }

  @Test func `a number that is none stays none`() throws {
    var numbers = [Float](repeating: 0.5, count: 32)
    numbers[3] = .nan
    let rows = Tensor(numbers, shape: [4, 8])
    let context = PackedAttention(lengths: [4], keyHeads: 1, scale: 1)(rows, rows, rows)
    #expect(context.doubles.contains { $0.isNaN })
  }
}
