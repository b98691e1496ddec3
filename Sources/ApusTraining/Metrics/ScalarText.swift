/// A text as the sequence of its code points, compared one by one.
///
/// Swift's own strings are equal if they are canonically equivalent; the metrics that other
/// programs define are not that lenient.
typealias ScalarText = [Unicode.Scalar]

extension Unicode.Scalar {
  /// Whether Python's `str.split()` cuts here.
  var isSpace: Bool { properties.isWhitespace || (0x1C...0x1F).contains(value) }

  /// One of 0…9.
  var isDigit: Bool { ("0"..."9").contains(self) }

  /// A letter or number, as `\w` of Python's `re` without the underscore.
  var isAlphanumeric: Bool {
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
      .decimalNumber, .letterNumber, .otherNumber:
      true
    default: false
    }
  }
}

extension ScalarText {
  /// The code points of a string.
  init(_ text: String) { self = Array(text.unicodeScalars) }

  /// The words between spaces.
  var words: [ScalarText] { split(whereSeparator: \.isSpace).map(Array.init) }

  /// The text without spaces at its end.
  var trimmedAtEnd: ScalarText {
    Array(prefix((lastIndex { !$0.isSpace } ?? -1) + 1))
  }

  /// The text with every occurrence of `old`, from the left, replaced.
  func replacing(_ old: String, with new: String) -> ScalarText {
    let (old, new) = (ScalarText(old), ScalarText(new))
    var result: ScalarText = []
    var place = 0
    while place < count {
      if self[place] == old[0], self[place...].starts(with: old) {
        result += new
        place += old.count
      } else {
        result.append(self[place])
        place += 1
      }
    }
    return result
  }
}
