import Foundation

/// A standalone SVG drawing under construction.
///
/// It needs nothing from outside, follows the reader's light or dark setting, and can stand in an
/// HTML page beside others: all drawings share one style sheet, whose rules name its own class.
struct SVG {
  private let width: Double
  private let title: String
  private var body = ""

  init(width: Double, title: String) {
    self.width = width
    self.title = title
  }

  /// Attributes of an element; texts are escaped, numbers rounded to hundredths.
  enum Value: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    case text(String)
    case number(Double)

    init(stringLiteral text: String) { self = .text(text) }
  }

  /// Adds an element, with a tip that appears under the pointer where there is one.
  mutating func add(
    _ name: String, _ attributes: KeyValuePairs<String, Value>, tip: String? = nil
  ) {
    let start = "<\(name)\(Self.list(attributes))"
    body += tip.map { "\(start)><title>\(Self.escaped($0))</title></\(name)>\n" } ?? "\(start)/>\n"
  }

  /// Adds text with its baseline at (x, y).
  mutating func addText(
    _ text: String, x: Double, y: Double, class name: String, anchor: String = "start",
    transform: String? = nil
  ) {
    let place: KeyValuePairs<String, Value> =
      transform.map { ["transform": .text($0)] } ?? ["x": .number(x), "y": .number(y)]
    let marks: KeyValuePairs<String, Value> = ["class": .text(name), "text-anchor": .text(anchor)]
    body += "<text\(Self.list(place))\(Self.list(marks))>\(Self.escaped(text))</text>\n"
  }

  /// The finished document.
  func document(height: Double, description: String) -> String {
    let size = "\(Self.short(width)) \(Self.short(height))"
    return """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(size)" width="\(Self.short(width))" \
      height="\(Self.short(height))" class="apus-chart" role="img">
      <title>\(Self.escaped(title))</title>
      <desc>\(Self.escaped(description))</desc>
      <style>\(Self.styleSheet)</style>
      <rect class="ground" width="100%" height="100%" rx="6"/>
      \(body)</svg>

      """
  }

  /// About how wide a text of that size is, since nothing here can measure fonts.
  static func width(of text: String, size: Double) -> Double {
    Double(DisplayText.width(of: text)) * size * 0.58
  }

  /// The text cut to about that width.
  static func fitted(_ text: String, into width: Double, size: Double) -> String {
    let columns = max(1, Int(width / (size * 0.58)))
    return DisplayText.truncated(text, to: columns, on: Self.page)
  }

  private static let page = Terminal(environment: ["LANG": "C.UTF-8"], isTTY: false)

  private static func list(_ attributes: KeyValuePairs<String, Value>) -> String {
    attributes.map { name, value in
      switch value {
      case .text(let text): " \(name)=\"\(escaped(text))\""
      case .number(let number): " \(name)=\"\(short(number))\""
      }
    }
    .joined()
  }

  /// A coordinate without needless decimals.
  static func short(_ number: Double) -> String {
    let rounded = (number * 100).rounded() / 100
    return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
  }

  /// The text as XML content or attribute, without the characters that XML 1.0 forbids.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in DisplayText.harmless(text).unicodeScalars {
      switch scalar {
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "&": result += "&amp;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\u{FFFE}", "\u{FFFF}": result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
