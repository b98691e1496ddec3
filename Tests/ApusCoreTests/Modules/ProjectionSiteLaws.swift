import ApusBase
import ApusCore
import ApusTorch
import Testing

/// Multiplies what came so far and adds a number, so that the order shows.
private final class Affine: ProjectionAdapter, ResidualAdapter {
  let factor: Double
  let shift: Double

  init(times factor: Double, plus shift: Double) { (self.factor, self.shift) = (factor, shift) }

  func adapted(_ output: Tensor, input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor {
    output * factor + shift
  }

  func adapted(_ branch: Tensor, input: Tensor, pass: ForwardPass) -> Tensor {
    branch * factor + input * shift
  }
}

@Suite struct ProjectionSiteLaws {
  private let x = Tensor([3] as [Float], shape: [1, 1])
  private let pass = ForwardPass(layout: RowLayout(lengths: [1]))

  private func makeSite() -> ProjectionSite {
    let site = ProjectionSite(1, 1, bias: false)
    site.base.weight.value = .full([1, 1], 2)
    return site
  }

  @Test func `adapters act in the order in which they were attached`() {
    let site = makeSite()
    #expect(site(x, pass).item == 6)
    site.attach(Affine(times: 2, plus: 0), named: "double")
    site.attach(Affine(times: 1, plus: 1), named: "more")
    #expect(site(x, pass).item == 13)
    #expect(site.adapters.map(\.name) == ["double", "more"])
  }

  @Test func `one of the same name takes the other's place, and can be detached`() {
    let site = makeSite()
    site.attach(Affine(times: 2, plus: 0), named: "a")
    site.attach(Affine(times: 1, plus: 1), named: "b")
    site.attach(Affine(times: 3, plus: 0), named: "a")
    #expect(site(x, pass).item == 19)
    #expect(site.adapters.map(\.name) == ["a", "b"])
    site.detach(named: "a")
    site.detach(named: "never there")
    #expect(site(x, pass).item == 7)
    site.detach(named: "b")
    #expect(site(x, pass).item == 6)
  }

  @Test func `a residual site hands the branch and the sublayer's input on`() {
    let site = ResidualSite()
    let branch = Tensor.full([1, 1], 5)
    #expect(site(branch, input: x, pass).isIdentical(to: branch))
    site.adapter = Affine(times: 2, plus: 10)
    #expect(site(branch, input: x, pass).item == 40)
  }
}
