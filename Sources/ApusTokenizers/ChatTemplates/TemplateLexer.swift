import ApusBase

/// Cuts a template into text, and what stands in `{{ }}` and `{% %}` into symbols.
///
/// Blocks take the spaces in front of them on their line and the line feed behind them along, and
/// `-` takes all white space on its side, as transformers has chat templates read.
struct TemplateLexer {
  /// A piece of a template.
  enum Piece {
    case text(String)
    case output([Symbol])
    case block([Symbol])
  }

  /// A word of an expression.
  enum Symbol: Equatable {
    case name(String)
    case text(String)
    case int(Int)
    case float(Double)
    case sign(String)
  }

  private let source: [Character]
  private let place: String
  private var at = 0
  private var pieces: [Piece] = []
  private var pending = ""
  /// Whether what is pending begins a line.
  private var startsLine = true

  init(_ text: String, place: String) {
    // A final line feed is not part of a template, and all line ends are line feeds.
    var text = text.replacing("\r\n", with: "\n")
    if text.hasSuffix("\n") { text.removeLast() }
    source = Array(text)
    self.place = place
  }

  /// The pieces in their order.
  mutating func cut() throws(ApusError) -> [Piece] {
    var isTrimmed = false
    while at < source.count {
      guard source[at] == "{", let kind = peek(1), "{%#".contains(kind) else {
        if isTrimmed, source[at].isWhitespace {
          at += 1
          continue
        }
        isTrimmed = false
        pending.append(source[at])
        at += 1
        continue
      }
      at += 2
      let sign = peek(0)
      if sign == "-" || sign == "+" { at += 1 }
      if sign == "-" {
        while let last = pending.last, last.isWhitespace { pending.removeLast() }
      } else if sign != "+", kind != "{" {
        stripLine()
      }
      flush()
      isTrimmed = try finish(kind)
    }
    flush()
    return pieces
  }

  private func peek(_ offset: Int) -> Character? {
    source.indices.contains(at + offset) ? source[at + offset] : nil
  }

  private mutating func flush() {
    if !pending.isEmpty { pieces.append(.text(pending)) }
    pending = ""
  }

  /// Removes the spaces of a line that begins with a block.
  private mutating func stripLine() {
    var rest = Substring(pending)
    while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
    if rest.isEmpty ? startsLine : rest.last == "\n" { pending = String(rest) }
  }

  /// Reads what stands in the braces, up to their end; whether white space behind them goes.
  private mutating func finish(_ kind: Character) throws(ApusError) -> Bool {
    let end: Character = kind == "{" ? "}" : kind
    if kind == "#" {
      while at < source.count, !(source[at] == "#" && peek(1) == "}") { at += 1 }
      return try close(end)
    }
    var symbols: [Symbol] = []
    while true {
      while let next = peek(0), next.isWhitespace { at += 1 }
      guard let next = peek(0) else { throw unfinished(end) }
      let isEnd = next == end && peek(1) == "}"
      let isTrimmedEnd = "-+".contains(next) && peek(1) == end && peek(2) == "}"
      // "}}" may also end a mapping inside of an output.
      if isEnd || isTrimmedEnd, !(kind == "{" && isEnd && Self.isOpen(symbols)) { break }
      symbols.append(try symbol())
    }
    let isTrimmed = try close(end)
    if kind == "%", symbols == [.name("raw")] {
      try raw(isTrimmed)
      return false
    }
    pieces.append(kind == "{" ? .output(symbols) : .block(symbols))
    return isTrimmed
  }

  /// Whether a mapping was begun and not ended.
  private static func isOpen(_ symbols: [Symbol]) -> Bool {
    symbols.count { $0 == .sign("{") } > symbols.count { $0 == .sign("}") }
  }

  /// Takes the closing sign; whether white space behind it goes.
  private mutating func close(_ end: Character) throws(ApusError) -> Bool {
    let sign = end == "#" ? (at > 0 ? source[at - 1] : nil) : peek(0)
    let isSigned = sign == "-" || sign == "+"
    if isSigned, end != "#" { at += 1 }
    guard peek(0) == end, peek(1) == "}" else { throw unfinished(end) }
    at += 2
    startsLine = end != "}" && !isSigned && peek(0) == "\n"
    if startsLine { at += 1 }
    return sign == "-"
  }

  /// Text up to `endraw`, as it is.
  private mutating func raw(_ isTrimmed: Bool) throws(ApusError) {
    var text = ""
    while at < source.count {
      if source[at] == "{", peek(1) == "%" {
        let block = String(source[at...].prefix(24)).filter { !$0.isWhitespace && $0 != "-" }
        if block.hasPrefix("{%endraw%}") {
          while source[at] != "}" { at += 1 }
          at += 1
          if peek(0) == "\n" { at += 1 }
          pieces.append(.text(text))
          return
        }
      }
      text.append(source[at])
      at += 1
    }
    throw unfinished("%")
  }

  private func unfinished(_ end: Character) -> ApusError {
    ApusError(
      .invalidFile, at: place, "the template ends before a closing \"\(end)}\"",
      remedy: "Restore the file from the checkpoint's source")
  }

  private mutating func symbol() throws(ApusError) -> Symbol {
    let first = source[at]
    if first.isLetter || first == "_" {
      return .name(take { $0.isLetter || $0.isNumber || $0 == "_" })
    }
    if first.isASCII, first.isNumber { return try number() }
    if first == "\"" || first == "'" { return try text(first) }
    let pair = String(first) + (peek(1).map(String.init) ?? "")
    if ["==", "!=", "<=", ">=", "//", "**"].contains(pair) {
      at += 2
      return .sign(pair)
    }
    guard "()[]{}.,:|+-*/%<>=~".contains(first) else {
      throw ApusError(
        .unsupported, at: place, "the character \"\(first)\" has no meaning in an expression",
        remedy: "Use a template in the subset of Jinja that chat templates share")
    }
    at += 1
    return .sign(String(first))
  }

  private mutating func take(_ isIncluded: (Character) -> Bool) -> String {
    let start = at
    while let next = peek(0), isIncluded(next) { at += 1 }
    return String(source[start..<at])
  }

  private mutating func number() throws(ApusError) -> Symbol {
    var digits = take { $0.isASCII && $0.isNumber }
    if peek(0) == ".", peek(1)?.isNumber == true {
      at += 1
      digits += "." + take { $0.isASCII && $0.isNumber }
    }
    if let whole = Int(digits) { return .int(whole) }
    guard digits.contains("."), let value = Double(digits) else {
      throw ApusError(
        .invalidFile, at: place, "\(digits) is too large a number",
        remedy: "Restore the file from the checkpoint's source")
    }
    return .float(value)
  }

  private mutating func text(_ quote: Character) throws(ApusError) -> Symbol {
    at += 1
    var text = ""
    while let next = peek(0), next != quote {
      at += 1
      guard next == "\\", let escaped = peek(0) else {
        text.append(next)
        continue
      }
      at += 1
      switch escaped {
      case "n": text += "\n"
      case "t": text += "\t"
      case "r": text += "\r"
      case "\\", "'", "\"": text.append(escaped)
      default: text += "\\\(escaped)"
      }
    }
    guard peek(0) == quote else { throw unfinished("}") }
    at += 1
    return .text(text)
  }
}
