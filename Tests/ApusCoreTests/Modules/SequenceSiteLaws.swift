import ApusBase
import ApusCore
import ApusTorch
import Testing

/// Tokens of one value, to be found again among the rows.
private final class Tokens: SequenceAdapter {
  let value: Tensor
  let replacesEarlier: Bool

  init(_ values: [Float], replacesEarlier: Bool = false) {
    value = Tensor(values, shape: [values.count, 1])
    self.replacesEarlier = replacesEarlier
  }

  func tokens(_ pass: ForwardPass) -> Tensor { value }
}

@Suite struct SequenceSiteLaws {
  /// Two examples, of one and of two tokens.
  private let rows = Tensor([1, 2, 3] as [Float], shape: [3, 1])

  private func site(_ adapter: Tokens?) -> SequenceSite {
    let site = SequenceSite()
    site.adapter = adapter
    return site
  }

  @Test func `tokens stand in front of every example, and can be removed again`() throws {
    var pass = ForwardPass(layout: RowLayout(lengths: [1, 2]))
    var inserted = 0
    let longer = site(Tokens([8, 9]))(rows, &pass, inserted: &inserted)
    #expect(longer.floats == [8, 9, 1, 8, 9, 2, 3])
    #expect(pass.layout.lengths == [3, 4])
    #expect(inserted == 2)
    let back = SequenceSite.removing(inserted, from: longer, &pass)
    #expect(back.isIdentical(to: rows))
    #expect(pass.layout.lengths == [1, 2])
    try Tensor.check()
  }

  @Test func `a second site's tokens come in front of the first's, or in their place`() {
    for replaces in [false, true] {
      var pass = ForwardPass(layout: RowLayout(lengths: [1, 2]))
      var inserted = 0
      let first = site(Tokens([8, 9]))(rows, &pass, inserted: &inserted)
      let second = site(Tokens([7], replacesEarlier: replaces))(first, &pass, inserted: &inserted)
      #expect(second.floats == (replaces ? [7, 1, 7, 2, 3] : [7, 8, 9, 1, 7, 8, 9, 2, 3]))
      #expect(pass.layout.lengths == (replaces ? [2, 3] : [4, 5]))
      #expect(inserted == (replaces ? 1 : 3))
      let back = SequenceSite.removing(inserted, from: second, &pass)
      #expect(back.isIdentical(to: rows))
    }
  }

  @Test func `without an adapter, rows and layout stay`() {
    var pass = ForwardPass(layout: RowLayout(lengths: [1, 2]))
    var inserted = 4
    #expect(site(nil)(rows, &pass, inserted: &inserted).isIdentical(to: rows))
    #expect(inserted == 4)
    #expect(SequenceSite.removing(0, from: rows, &pass).isIdentical(to: rows))
    #expect(pass.layout.lengths == [1, 2])
  }

  @Test func `a token's gradient is the sum over the examples`() throws {
    let leaf = Tensor([8] as [Float], shape: [1, 1]).requiringGradient()
    final class Leaf: SequenceAdapter {
      let leaf: Tensor
      init(_ leaf: Tensor) { self.leaf = leaf }
      var replacesEarlier: Bool { false }
      func tokens(_ pass: ForwardPass) -> Tensor { leaf }
    }
    let site = SequenceSite()
    site.adapter = Leaf(leaf)
    var pass = ForwardPass(layout: RowLayout(lengths: [1, 2]))
    var inserted = 0
    let weight = Tensor([1, 10, 100, 1_000, 10_000] as [Float], shape: [5, 1])
    let longer = site(rows, &pass, inserted: &inserted)
    let gradient = try #require((longer * weight).sum().gradients(by: [leaf])[0])
    #expect(gradient.item == 101)
  }
}
