import ApusBase
import ApusTorch
import Testing

@testable import ApusTraining

/// Card FedBiOT, property 5, and what both distances are where nothing differs.
@Suite struct EmulatorLossLaws {
  private func draw(_ shape: [Int], _ seed: UInt64) -> Tensor {
    var stream = RandomStream(seed: seed)
    return Tensor.normal(shape, stream: &stream)
  }

  @Test(arguments: [1e-3, 0.5, 40])
  func `scaling both hidden states changes nothing`(factor: Double) {
    let (t, u) = (draw([7, 5], 1), draw([7, 5], 2))
    let plain = EmulatorLoss.representation(teacher: t, student: u).item
    let scaled = EmulatorLoss.representation(teacher: t * factor, student: u * factor).item
    #expect(plain > 0 && abs(scaled - plain) < 1e-5 * plain)
    // (t − u)² over the mean square of t, element by element.
    let size = t.squared.mean().item
    #expect(abs(plain - (t - u).squared.mean().item / size) < 1e-5 * plain)
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `a divergence is not negative, and is that of its definition`(seed: UInt64) {
    let (full, emulated) = (draw([4, 9], seed) * 3, draw([4, 9], seed + 100) * 3)
    let found = EmulatorLoss.divergence(full: full, emulated: emulated).item
    let (p, q) = (softmax(full), softmax(emulated))
    let expected = (p * (log(p) - log(q))).sum().item / 4
    #expect(found >= 0 && abs(found - expected) < 1e-4)
  }

  @Test func `what is the same has no distance, and only the student gets a gradient`() throws {
    let (t, z) = (draw([3, 4], 5), draw([3, 6], 6))
    #expect(EmulatorLoss.representation(teacher: t, student: t).item == 0)
    #expect(EmulatorLoss.divergence(full: z, emulated: z).item == 0)
    let (teacher, student) = (t.requiringGradient(), (t * 0.5).requiringGradient())
    let gradients = EmulatorLoss.representation(teacher: teacher, student: student)
      .gradients(by: [teacher, student])
    #expect(gradients[0] == nil)
    #expect(try #require(gradients[1]).anyTrue)
  }
}
