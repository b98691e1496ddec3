import ApusBase
import ApusCore
import ApusTorch
import Testing

@Suite struct DropoutLaws {
  private func pass(_ seed: UInt64?) -> ForwardPass {
    ForwardPass(layout: RowLayout(lengths: [1]), random: seed.map { RandomStream(seed: $0) })
  }

  @Test(arguments: [0.1, 0.5, 0.9], 0..<3 as Range<UInt64>)
  func `elements are dropped or scaled up, and their mean stays`(
    probability: Double, seed: UInt64
  ) {
    let count = 40_000
    let dropped = Dropout(probability)(Tensor.ones([count]), pass(seed), "here")
    let survivor = Float(1 / (1 - probability))
    #expect(dropped.floats.allSatisfy { $0 == 0 || abs($0 - survivor) < 1e-6 * survivor })
    // Five standard deviations of the mean.
    let slack = 5 * (probability / (1 - probability) / Double(count)).squareRoot()
    #expect(abs(dropped.mean().item - 1) < slack)
  }

  @Test func `the stream and the name decide, and nothing else`() {
    let (x, dropout) = (Tensor.ones([200]), Dropout(0.5))
    let first = dropout(x, pass(1), "here")
    #expect(dropout(x, pass(1), "here").isIdentical(to: first))
    #expect(!dropout(x, pass(1), "there").isIdentical(to: first))
    #expect(!dropout(x, pass(2), "here").isIdentical(to: first))
    #expect(!dropout(x, pass(1).scoped("layer", 3), "here").isIdentical(to: first))
  }

  @Test func `in evaluation, or with probability 0, nothing is dropped`() {
    let x = Tensor.ones([50])
    #expect(Dropout(0.9)(x, pass(nil), "here").isIdentical(to: x))
    #expect(Dropout(0)(x, pass(1), "here").isIdentical(to: x))
    #expect(!pass(nil).scoped("layer").isTraining)
    #expect(pass(1).scoped("layer").isTraining)
  }
}
