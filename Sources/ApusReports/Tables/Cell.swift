extension Table {
  /// One value of a table: a text for people and, beside it, the exact value for programs.
  public struct Cell: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    /// What terminal and Markdown tables show.
    let shown: String
    /// What JSON holds, and CSV without the quotes.
    let value: JSONText
    /// Look on a terminal.
    var style = Style.plain

    private init(shown: String, value: JSONText) {
      self.shown = shown
      self.value = value
    }

    public init(stringLiteral text: String) { self = .text(text) }

    public init(integerLiteral value: Int) { self = .count(value) }

    /// Words.
    public static func text(_ text: String) -> Cell { Cell(shown: text, value: .text(text)) }

    /// A whole number, shown with thousands separators.
    public static func count(_ value: Int) -> Cell {
      Cell(shown: Quantity.count(value), value: .integer(value))
    }

    /// A number, shown with that many decimals and kept with all.
    public static func number(_ value: Double, digits: Int = 3) -> Cell {
      Cell(shown: Quantity.number(value, digits: digits), value: .number(value))
    }

    /// A share of one, shown as a percentage.
    public static func percent(_ share: Double, digits: Int = 1) -> Cell {
      Cell(shown: Quantity.percent(share, digits: digits), value: .number(share))
    }

    /// Bytes, shown in a decimal unit and kept to the byte.
    public static func bytes(_ count: Int) -> Cell {
      Cell(shown: Quantity.bytes(count), value: .integer(count))
    }

    /// Seconds, shown as a span of time.
    public static func seconds(_ seconds: Double) -> Cell {
      Cell(shown: Quantity.duration(seconds: seconds), value: .number(seconds))
    }

    /// Nothing known: a dash for people, null in JSON, empty in CSV.
    public static let missing = Cell(shown: "-", value: .null)

    /// A mean with its deviation for people; programs read the mean alone.
    public static func mean(_ mean: Cell, plusMinus deviation: Cell) -> Cell {
      Cell(shown: "\(mean.shown) ± \(deviation.shown)", value: mean.value)
    }

    /// The same cell in another look.
    public func styled(_ style: Style) -> Cell {
      var copy = self
      copy.style = style
      return copy
    }
  }
}
