import Foundation

/// Text measured in terminal columns, for names in any script.
enum DisplayText {
  /// Columns that a terminal gives the text.
  ///
  /// Counts clusters rather than scalars: a letter with its accents is one column, an emoji with
  /// its modifiers two. Terminals disagree about rare clusters; this follows the majority.
  static func width(of text: String) -> Int {
    if text.utf8.allSatisfy({ 0x20 <= $0 && $0 < 0x7F }) { return text.utf8.count }
    return text.reduce(0) { $0 + width(of: $1) }
  }

  /// The text without anything that could move the cursor or recolour the screen.
  ///
  /// Names come from other machines. Line breaks and tabs become spaces; other control
  /// characters and the overrides of writing direction become a visible substitute.
  static func harmless(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x09...0x0D, 0x85, 0x2028, 0x2029: result.append(" ")
      case 0...0x1F, 0x7F...0x9F, 0x202A...0x202E, 0x2066...0x2069: result.append("\u{FFFD}")
      default: result.append(scalar)
      }
    }
    return String(result)
  }

  /// The text with spaces up to `width` columns; longer text stays as it is.
  static func padded(_ text: String, to width: Int, _ alignment: Alignment = .left) -> String {
    let missing = max(0, width - Self.width(of: text))
    let before: Int
    switch alignment {
    case .left: before = 0
    case .right: before = missing
    case .center: before = missing / 2
    }
    return spaces(before) + text + spaces(missing - before)
  }

  /// The text in at most `width` columns, with an ellipsis where it was cut.
  static func truncated(_ text: String, to width: Int, on terminal: Terminal) -> String {
    guard Self.width(of: text) > width else { return text }
    let ellipsis = ellipsis(on: terminal)
    let room = width - Self.width(of: ellipsis)
    guard room >= 0 else { return String(repeating: ".", count: max(0, width)) }
    var (kept, used) = ("", 0)
    for character in text {
      let next = Self.width(of: character)
      if used + next > room { break }
      kept.append(character)
      used += next
    }
    return kept + ellipsis
  }

  /// The line with a drawing's title.
  static func heading(_ title: String, width: Int, on terminal: Terminal) -> String {
    terminal.styled(truncated(harmless(title), to: width, on: terminal), .bold) + "\n"
  }

  /// The mark of text left out.
  static func ellipsis(on terminal: Terminal) -> String { terminal.allowsUnicode ? "…" : "..." }

  /// That many spaces, none for a negative count.
  static func spaces(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }

  private static func width(of character: Character) -> Int {
    let scalars = character.unicodeScalars
    guard let first = scalars.first else { return 0 }
    if scalars.contains(where: { $0.value == 0xFE0F }) && first.properties.isEmoji { return 2 }
    if first.properties.isEmojiPresentation { return 2 }
    switch first.properties.generalCategory {
    case .nonspacingMark, .enclosingMark, .format, .control, .lineSeparator, .paragraphSeparator:
      return 0
    default: return isWide(first) ? 2 : 1
    }
  }

  /// Whether the scalar is wide or full width by the main ranges of Unicode's EastAsianWidth.txt.
  private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x1100...0x115F, 0x2329...0x232A, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF,
      0x4E00...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19,
      0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18CFF, 0x1AFF0...0x1B2FB,
      0x1F200...0x1F2FF, 0x20000...0x3FFFD:
      true
    default: false
    }
  }
}

/// Where text stands in the space it is given.
public enum Alignment: Sendable {
  /// At the left edge: words.
  case left
  /// At the right edge: numbers.
  case right
  /// In the middle.
  case center
}
