/// A text on its way to tokens: one buffer of scalars, and the pieces it has been cut into.
struct SplitText: Sendable {
  /// A part of the text, never empty.
  struct Piece: Sendable {
    /// Scalars of the buffer.
    let range: Range<Int>
    /// The added token that was found here, by its place in the list; nil for ordinary text.
    let added: Int?
  }

  private(set) var text: NormalizedText
  private(set) var pieces: [Piece]

  /// The whole of an original text as one piece.
  init(_ original: String) {
    text = NormalizedText(original)
    pieces = text.count == 0 ? [] : [Piece(range: 0..<text.count, added: nil)]
  }

  /// Cuts every piece of ordinary text into the pieces that `cut` appends.
  mutating func splitEach(_ cut: (NormalizedText, Range<Int>, inout [Piece]) -> Void) {
    var result: [Piece] = []
    result.reserveCapacity(max(pieces.count, text.count / 4))
    for piece in pieces {
      if piece.added == nil {
        cut(text, piece.range, &result)
      } else {
        result.append(piece)
      }
    }
    pieces = result
  }

  /// Puts a scalar before every piece of ordinary text for which `isWanted` holds.
  ///
  /// It gets the origin of the scalar that it stands before.
  mutating func prependEach(
    _ prefix: Unicode.Scalar, where isWanted: (NormalizedText, Range<Int>) -> Bool
  ) {
    guard pieces.contains(where: { $0.added == nil && isWanted(text, $0.range) }) else { return }
    rebuildEach { text, range, result in
      if isWanted(text, range) { result.append(prefix, from: text, at: range.lowerBound) }
      result.append(text, range)
    }
  }

  /// Replaces every scalar of ordinary text by another.
  @inline(__always)
  mutating func mapEach(_ change: (Unicode.Scalar) -> Unicode.Scalar) {
    for piece in pieces where piece.added == nil { text.map(piece.range, change) }
  }

  /// Replaces every piece of ordinary text by what `rebuild` appends, and drops what is in no piece.
  mutating func rebuildEach(_ rebuild: (NormalizedText, Range<Int>, inout NormalizedText) -> Void) {
    var result = NormalizedText("")
    result.reserveCapacity(text.count + 8)
    var resultPieces: [Piece] = []
    resultPieces.reserveCapacity(pieces.count)
    for piece in pieces {
      let start = result.count
      if piece.added == nil {
        rebuild(text, piece.range, &result)
      } else {
        result.append(text, piece.range)
      }
      guard result.count > start else { continue }
      resultPieces.append(Piece(range: start..<result.count, added: piece.added))
    }
    (text, pieces) = (result, resultPieces)
  }

  /// Normalizes every piece of ordinary text by itself.
  mutating func normalizeEach(_ normalizer: some Normalizer) {
    if pieces.count == 1, pieces[0].added == nil {
      normalizer.normalize(&text)
      pieces = text.count == 0 ? [] : [Piece(range: 0..<text.count, added: nil)]
      return
    }
    var (result, resultPieces) = (NormalizedText(""), [Piece]())
    for piece in pieces {
      var part = NormalizedText(text, piece.range)
      if piece.added == nil { normalizer.normalize(&part) }
      guard part.count > 0 else { continue }
      let range = result.count..<(result.count + part.count)
      resultPieces.append(Piece(range: range, added: piece.added))
      result.append(part)
    }
    (text, pieces) = (result, resultPieces)
  }
}

extension [SplitText.Piece] {
  /// Appends a piece of ordinary text, unless it is empty.
  @inline(__always)
  mutating func append(_ range: Range<Int>) {
    if !range.isEmpty { append(SplitText.Piece(range: range, added: nil)) }
  }
}
