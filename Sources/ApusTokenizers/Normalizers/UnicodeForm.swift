/// The four Unicode normalization forms.
///
/// - Source: Unicode Standard Annex #15, with the tables of Unicode 9 and the alignments of the
///   crate `unicode-normalization-alignments`, so that offsets agree with `tokenizers`.
enum UnicodeForm: Normalizer {
  case nfc
  case nfd
  case nfkc
  case nfkd

  func normalize(_ text: inout NormalizedText) {
    // In all four forms, text below U+00A0 stays as it is.
    guard text.scalars.contains(where: { $0.value >= 0xA0 }) else { return }
    let decomposed = decompose(text.scalars)
    text.replace(with: self == .nfc || self == .nfkc ? compose(decomposed) : decomposed)
  }

  /// Takes every scalar apart, and sorts the marks behind each base by combining class.
  private func decompose(
    _ scalars: ContiguousArray<Unicode.Scalar>
  ) -> [NormalizedText.Emission] {
    let table = self == .nfd || self == .nfc ? Decomposition.canonical : .compatible
    var output: [NormalizedText.Emission] = []
    output.reserveCapacity(scalars.count + 8)
    var base = 0  // where the marks not yet sorted begin, behind the last base
    func append(_ scalar: Unicode.Scalar, change: Int) {
      if scalar.combiningRank == 0 {
        Self.sortMarks(&output, from: base)
        base = output.count + 1
      }
      output.append(NormalizedText.Emission(scalar: scalar, change: change))
    }
    for scalar in scalars {
      if let parts = table[scalar] {
        for (index, part) in parts.enumerated() { append(part, change: index == 0 ? 0 : 1) }
      } else {
        append(scalar, change: 0)
      }
    }
    Self.sortMarks(&output, from: base)
    return output
  }

  /// Sorts the marks from `start` on by combining class; those of one class keep their order.
  private static func sortMarks(_ output: inout [NormalizedText.Emission], from start: Int) {
    guard output.count > start + 1 else { return }
    let ranks = output[start...].map(\.scalar.combiningRank)
    let order = ranks.indices.sorted { (ranks[$0], $0) < (ranks[$1], $1) }
    output.replaceSubrange(start..., with: order.map { output[start + $0] })
  }

  /// Puts bases and the marks that follow them together again.
  private func compose(_ input: [NormalizedText.Emission]) -> [NormalizedText.Emission] {
    var output: [NormalizedText.Emission] = []
    output.reserveCapacity(input.count)
    var base: NormalizedText.Emission?
    var marks: [NormalizedText.Emission] = []  // those after `base` that did not compose with it
    for next in input {
      let rank = next.scalar.combiningRank
      guard let current = base else {
        if rank == 0 { base = next } else { output.append(next) }
        continue
      }
      let isBlocked = marks.last.map { $0.scalar.combiningRank >= rank } ?? false
      if !isBlocked, let composite = Composition.composed(current.scalar, next.scalar) {
        base = NormalizedText.Emission(
          scalar: composite, change: current.change + next.change - 1)
      } else if rank == 0 {
        output.append(current)
        output.append(contentsOf: marks)
        marks.removeAll()
        base = next
      } else {
        marks.append(next)
      }
    }
    if let base { output.append(base) }
    output.append(contentsOf: marks)
    return output
  }
}

extension Unicode.Scalar {
  /// The canonical combining class, 0 for bases and for scalars younger than Unicode 9.
  @inline(__always)
  fileprivate var combiningRank: UInt8 {
    value < 0x300 || !has(.mark) ? 0 : properties.canonicalCombiningClass.rawValue
  }
}
