/// The number that a worked solution ends with, as GSM8K asks for it.
///
/// - Source: Cobbe et al., arXiv 2110.14168, and the answer format of its files; for free text the
///   last number, as lm-evaluation-harness's "flexible-extract" takes it.
public struct MathAnswer: Sendable, Hashable {
  /// The number in one spelling: no separators, no leading or trailing zeros that say nothing.
  public let digits: String

  /// The answer behind `####`; of several marks the first that has a number behind it.
  ///
  /// - Returns: nil if there is none.
  public init?(marked text: String) {
    let scalars = ScalarText(text)
    let mark = ScalarText("####")
    for place in scalars.indices where scalars[place...].starts(with: mark) {
      let rest = scalars[(place + mark.count)...].drop { $0 == " " || $0 == "$" }
      let sign = rest.prefix { $0 == "-" }.prefix(1)
      let number = rest.dropFirst(sign.count).drop { $0 == "$" }
        .prefix { $0.isDigit || $0 == "," || $0 == "." }
      if let answer = MathAnswer(isNegative: !sign.isEmpty, spelled: number) {
        self = answer
        return
      }
    }
    return nil
  }

  /// The last number of a text, such as the model's own words.
  ///
  /// A comma separates thousands if three digits follow it; else it separates numbers.
  ///
  /// - Returns: nil if there is none.
  public init?(lastNumberOf text: String) {
    let scalars = ScalarText(text)
    guard let last = scalars.lastIndex(where: \.isDigit) else { return nil }
    var start = Self.startOfWhole(scalars, endingAt: last + 1)
    if start > 0, scalars[start - 1] == "." {
      start = Self.startOfWhole(scalars, endingAt: start - 1)
    }
    var sign = start
    if sign > 0, scalars[sign - 1] == "$" { sign -= 1 }
    // A minus between two numbers subtracts.
    let isNegative =
      sign > 0 && scalars[sign - 1] == "-" && (sign < 2 || !scalars[sign - 2].isAlphanumeric)
    self.init(isNegative: isNegative, spelled: scalars[start...last])
  }

  /// Where the digits and separators begin that end before `end`.
  private static func startOfWhole(_ scalars: ScalarText, endingAt end: Int) -> Int {
    var (start, digits) = (end, 0)
    while start > 0 {
      if scalars[start - 1].isDigit {
        (start, digits) = (start - 1, digits + 1)
      } else if digits == 3, start > 1, scalars[start - 1] == ",", scalars[start - 2].isDigit {
        (start, digits) = (start - 1, 0)
      } else {
        break
      }
    }
    return start
  }

  /// The answer behind `####` if there is one, or else the last number.
  public init?(_ text: String) {
    guard let answer = MathAnswer(marked: text) ?? MathAnswer(lastNumberOf: text) else {
      return nil
    }
    self = answer
  }

  /// Whether an output ends with the number that the reference names; false if it names none.
  public static func matches(_ output: String, reference: String) -> Bool {
    guard let expected = MathAnswer(reference) else { return false }
    return MathAnswer(output) == expected
  }

  /// A number as it was written; nil without digits.
  private init?(isNegative: Bool, spelled text: ArraySlice<Unicode.Scalar>) {
    let plain = text.filter { $0 != "," }
    guard plain.contains(where: \.isDigit) else { return nil }
    let parts = plain.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    let whole = parts[0].drop { $0 == "0" }
    // A full stop behind the number ends the sentence.
    var fraction = parts.count > 1 ? parts[1].prefix(while: \.isDigit) : []
    while fraction.last == "0" { fraction.removeLast() }
    var digits = whole.isEmpty ? "0" : String(String.UnicodeScalarView(whole))
    if !fraction.isEmpty { digits += "." + String(String.UnicodeScalarView(fraction)) }
    self.digits = isNegative && digits != "0" ? "-" + digits : digits
  }
}
