import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

@testable import ApusAdapters

/// Laws of DoRA on one layer.
@Suite struct DoRALaws {
  let layer = Linear(6, 5)
  let adapter: DoRA
  let x: Tensor
  let pass = ForwardPass(layout: RowLayout(lengths: [4]))
  static let scaling = 1.5

  init() {
    var stream = RandomStream(seed: 2)
    layer.weight.value = .normal([5, 6], stream: &stream)
    layer.bias?.value = .normal([5], stream: &stream)
    adapter = DoRA(for: layer, rank: 2, scaling: Self.scaling, dropout: 0, random: stream)
    x = .normal([4, 6], stream: &stream)
    for (_, leaf) in adapter.leaves {
      leaf.assignInPlace(leaf.detached() + .normal(leaf.shape, deviation: 0.5, stream: &stream))
    }
  }

  private var leaves: [Tensor] { adapter.leaves.map(\.tensor) }
  private var weight: Tensor { layer.weight.value }
  /// V = W0 + s·BA.
  private var direction: Tensor { weight + matmul(leaves[1], leaves[0]).detached() * Self.scaling }
  private var merged: Tensor { weight + adapter.change(of: weight) }

  @Test func `every row of the merged weight is as long as its magnitude`() {
    let lengths = merged.norm([1]).doubles
    for (length, m) in zip(lengths, adapter.magnitude.doubles) {
      #expect(abs(length - abs(m)) < 1e-5)
    }
  }

  @Test func `the merged weight depends on V through the directions of its rows alone`() {
    // W0 and B five times as large, row by row, are V five times as large.
    let before = merged
    let factors = Tensor([1, 2, 3, 4, 5] as [Float], shape: [5, 1])
    layer.weight.value = weight * factors
    leaves[1].assignInPlace(leaves[1].detached() * factors)
    expectClose(merged, before, absolute: 1e-5, relative: 1e-5)
  }

  @Test func `the output is that of the merged weight, and the bias is not scaled`() {
    let output = adapter.adapted(layer(x), input: x, layer: layer, pass: pass)
    expectClose(
      output, linear(x, weight: merged, bias: layer.bias?.value), absolute: 1e-5,
      relative: 1e-5)
  }

  @Test func `with the norm held constant the gradients are those of the formula`() throws {
    let c = adapter.magnitude.detached() / direction.norm([1])
    var stream = RandomStream(seed: 4)
    let g = Tensor.normal([4, 5], stream: &stream)  // ∂L/∂y
    let output = adapter.adapted(layer(x), input: x, layer: layer, pass: pass)
    let found = Tensor.gradients(of: [output], seeds: [g], by: leaves)
    let (a, b) = (leaves[0].detached(), leaves[1].detached())
    let scaled = g * c * Self.scaling  // s·G diag(c), row by row
    let expected = [
      matmul(matmul(scaled, b).matrixTransposed, x),
      matmul(scaled.matrixTransposed, linear(x, weight: a)),
      (g * linear(x, weight: direction)).sum([0]) / direction.norm([1]),
    ]
    for ((suffix, _), (gradient, formula)) in zip(adapter.leaves, zip(found, expected)) {
      expectClose(try #require(gradient), formula, absolute: 1e-4, relative: 1e-4, suffix)
    }
  }

  @Test func `a row of zeros gives numbers`() {
    layer.weight.value = weight * Tensor([0, 1, 1, 1, 1] as [Float], shape: [5, 1])
    let fresh = DoRA(
      for: layer, rank: 2, scaling: 1, dropout: 0, random: RandomStream(seed: 3))
    let output = fresh.adapted(layer(x), input: x, layer: layer, pass: pass)
    #expect(output.isIdentical(to: layer(x)))
    #expect(fresh.change(of: weight).isFinite.allTrue)
  }
}
