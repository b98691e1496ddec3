import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

@Suite struct SparseWeightsLaws {
  @Test(arguments: [0.01, 0.1, 0.5, 1], 0..<3 as Range<UInt64>)
  func `a mask is the same on every side, and as dense as it should be`(
    density: Double, seed: UInt64
  ) {
    let plan = SparsePlan(density: density, seed: seed)
    let mask = plan.mask("q", shape: [120, 100], rank: 4)
    #expect(mask.places.isIdentical(to: plan.mask("q", shape: [120, 100], rank: 4).places))
    let deviation = (12_000 * density * (1 - density)).squareRoot()
    #expect(abs(Double(mask.count) - 12_000 * density) <= 4 * deviation)
    if density < 1 {
      let other = plan.mask("v", shape: [120, 100], rank: 4)
      #expect(!mask.places.isIdentical(to: other.places))
    }
  }

  @Test func `without a density there are as many entries as LoRA has elements`() {
    let mask = SparsePlan(density: nil, seed: 1).mask("q", shape: [200, 100], rank: 4)
    #expect(abs(Double(mask.count) - 4 * 300) < 4 * 1_200.0.squareRoot())
    #expect(SparsePlan(density: 1e-9, seed: 1).mask("q", shape: [3, 2], rank: 1).count == 1)
    #expect(SparsePlan(density: nil, seed: 1).mask("q", shape: [3, 2], rank: 2).count == 6)
  }

  @Test func `entries come from their places and go back there`() {
    var stream = RandomStream(seed: 2)
    let weight = drawn([7, 5], &stream)
    let mask = SparsePlan(density: 0.4, seed: 1).mask("q", shape: [7, 5], rank: 2)
    let matrix = mask.matrix(of: mask.entries(of: weight))
    let allowed = mask.matrix(of: .ones([mask.count]))
    expectClose(matrix, weight * allowed, absolute: 0, relative: 0)
    #expect(allowed.sum().item == Double(mask.count))
  }

  @Test func `tuned entries act as if they stood in the weight, and have its gradient`() throws {
    var stream = RandomStream(seed: 3)
    let (x, weight) = (drawn([6, 5], &stream), drawn([7, 5], &stream))
    let mask = SparsePlan(density: 0.4, seed: 1).mask("q", shape: [7, 5], rank: 2)
    let site = ProjectionSite(5, 7, bias: false)
    site.base.weight.value = weight
    let sparse = SparseWeights(mask, of: weight)
    site.attach(sparse, named: SparseWeights.name)
    let pass = ForwardPass(layout: RowLayout(lengths: [6]))
    let plain = withoutGradient { linear(x, weight: weight) }
    #expect(withoutGradient { site(x, pass) }.isIdentical(to: plain))
    sparse.values.assignInPlace(drawn([mask.count], &stream))
    let allowed = mask.matrix(of: .ones([mask.count]))
    let tuned = weight * (1 - allowed) + mask.matrix(of: sparse.values.detached())
    expectClose(
      withoutGradient { site(x, pass) }, linear(x, weight: tuned), absolute: 1e-5, relative: 1e-5)
    let whole = tuned.requiringGradient()
    let expected = linear(x, weight: whole).squared.sum().gradients(by: [whole])[0]
    let found = site(x, pass).squared.sum().gradients(by: [sparse.values])[0]
    expectClose(
      try #require(found), mask.entries(of: try #require(expected)), absolute: 1e-4,
      relative: 1e-4)
  }
}
