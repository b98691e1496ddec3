import ApusBase
import ApusTorch
import CApusTorch
import Testing

private let draws: [(name: String, draw: @Sendable (inout RandomStream) -> Tensor)] = [
  ("uniform", { Tensor.uniform([200, 1_000], low: -1, high: 3, stream: &$0) }),
  ("normal", { Tensor.normal([200, 1_000], mean: 2, deviation: 3, stream: &$0) }),
  ("bernoulli", { Tensor.bernoulli([200, 1_000], probability: 0.3, stream: &$0) }),
]

@Suite struct RandomTensorLaws {
  @Test(arguments: draws.indices)
  func `equal streams give equal bits, others and later draws give others`(index: Int) throws {
    let draw = draws[index].draw
    let root = RandomStream(seed: 1)
    func drawn(_ stream: RandomStream) -> Tensor {
      var stream = stream
      return draw(&stream)
    }
    let first = drawn(root.substream("dropout"))
    #expect(first.isIdentical(to: drawn(root.substream("dropout"))))
    #expect(!first.isIdentical(to: drawn(root.substream("dropout", 0))))
    #expect(!first.isIdentical(to: drawn(RandomStream(seed: 2).substream("dropout"))))
    var stream = root.substream("dropout")
    #expect(draw(&stream).isIdentical(to: first))
    #expect(!draw(&stream).isIdentical(to: first))
    try Tensor.check()
  }

  @Test(arguments: draws.indices)
  func `mean and variance are those of the distribution`(index: Int) throws {
    var stream = RandomStream(seed: 9)
    let x = draws[index].draw(&stream).to(.float64)
    let (mean, variance) = [(1, 16.0 / 12), (2, 9), (0.3, 0.21)][index]
    // Five standard errors of 200,000 draws.
    let error = (variance / 200_000).squareRoot() * 5
    #expect(abs(x.mean().item - mean) < error)
    #expect(abs(x.variance().item - variance) < 0.03 * variance)
    if index == 0 {
      #expect(x.min().item >= -1)
      #expect(x.max().item < 3)
    }
    if index == 2 { #expect(Set(x.doubles) == [0, 1]) }
    try Tensor.check()
  }

  @Test(
    arguments: [
      (7, [15_089_928, 13_843_039, 16_342_146, 14_070_027]),
      (0x1_0000_0001, [1_994_373, 4_195_796, 2_976_889, 9_079_283]),
      (0xFEDC_BA98_7654_3210, [1_525_080, 13_029_231, 13_258_725, 6_065_685]),
    ] as [(UInt64, [Float])])
  func `draws are those of NumPy's Mersenne Twister seeded with two words`(
    seed: UInt64, expected: [Float]
  ) throws {
    // numpy.random.RandomState([low, high]); a uniform float32 is the lower 24 of its 32 bits.
    let raw = apus_uniform([4], 1, 0, 1, seed, APUS_F32, APUS_CPU, 0)
    defer { apus_release(raw) }
    let data = try #require(apus_data(raw)).assumingMemoryBound(to: Float.self)
    #expect((0..<4).map { data[$0] * 0x1p24 } == expected)
  }
}
