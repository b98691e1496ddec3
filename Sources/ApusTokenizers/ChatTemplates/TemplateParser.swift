import ApusBase

/// Reads the statements of a template.
struct TemplateParser {
  private let pieces: [TemplateLexer.Piece]
  private let place: String
  private var at = 0
  private var depth = 0

  /// Statements inside one another at most, so that no template can exhaust the stack.
  private static let deepest = 64

  init(_ text: String, place: String) throws(ApusError) {
    var lexer = TemplateLexer(text, place: place)
    pieces = try lexer.cut()
    self.place = place
  }

  /// The whole template.
  mutating func parse() throws(ApusError) -> [TemplateNode] {
    let nodes = try body(until: []).nodes
    return nodes
  }

  /// Statements up to a block that begins with one of the words, and that block's expression.
  private mutating func body(
    until ends: [String]
  ) throws(ApusError) -> (nodes: [TemplateNode], end: TemplateExpressionParser) {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.deepest else { throw error("statements are nested too deeply") }
    var nodes: [TemplateNode] = []
    while at < pieces.count {
      let piece = pieces[at]
      at += 1
      switch piece {
      case .text(let text): nodes.append(.text(text))
      case .output(let symbols):
        var parser = TemplateExpressionParser(symbols, place: place)
        nodes.append(.print(try parser.whole()))
      case .block(let symbols):
        var parser = TemplateExpressionParser(symbols, place: place)
        let word = try parser.word()
        if ends.contains(word) { return (nodes, parser) }
        try statement(word, &parser, into: &nodes)
      }
    }
    guard ends.isEmpty else { throw error("there is no \(ends.joined(separator: " or "))") }
    return (nodes, TemplateExpressionParser([], place: place))
  }

  private mutating func statement(
    _ word: String, _ parser: inout TemplateExpressionParser, into nodes: inout [TemplateNode]
  ) throws(ApusError) {
    switch word {
    case "if": nodes.append(try choice(parser))
    case "for": nodes.append(try loop(&parser))
    case "set": nodes.append(try assignment(&parser))
    case "macro": nodes.append(try macro(&parser))
    case "generation": nodes += try body(until: ["endgeneration"]).nodes
    case "break": nodes.append(.leaveLoop)
    case "continue": nodes.append(.nextTurn)
    default:
      throw ApusError(
        .unsupported, at: place, "the statement \"\(word)\" is not supported",
        remedy: "Use a template with if, for, set and macro alone")
    }
  }

  private mutating func choice(
    _ first: TemplateExpressionParser
  ) throws(ApusError) -> TemplateNode {
    var branches: [(TemplateExpression?, [TemplateNode])] = []
    var parser = first
    while true {
      let condition = try parser.whole()
      let (nodes, end) = try body(until: ["elif", "else", "endif"])
      branches.append((condition, nodes))
      parser = end
      switch end.first {
      case "elif": continue
      case "else": branches.append((nil, try body(until: ["endif"]).nodes))
      default: break
      }
      return .choice(branches)
    }
  }

  private mutating func loop(
    _ parser: inout TemplateExpressionParser
  ) throws(ApusError) -> TemplateNode {
    let names = try parser.names()
    try parser.expect(word: "in")
    let sequence = try parser.withoutCondition()
    let filter = parser.takes(word: "if") ? try parser.expression() : nil
    try parser.finish()
    let (nodes, end) = try body(until: ["else", "endfor"])
    let otherwise = end.first == "else" ? try body(until: ["endfor"]).nodes : []
    return .loop(
      TemplateLoop(
        names: names, sequence: sequence, filter: filter, body: nodes, otherwise: otherwise))
  }

  private mutating func assignment(
    _ parser: inout TemplateExpressionParser
  ) throws(ApusError) -> TemplateNode {
    let names = try parser.names()
    if parser.takes(sign: ".") {
      let member = try parser.word()
      try parser.expect(sign: "=")
      return .assignMember(object: names[0], member: member, value: try parser.whole())
    }
    if parser.takes(sign: "=") { return .assign(names: names, value: try parser.whole()) }
    try parser.finish()
    return .capture(name: names[0], body: try body(until: ["endset"]).nodes)
  }

  private mutating func macro(
    _ parser: inout TemplateExpressionParser
  ) throws(ApusError) -> TemplateNode {
    let name = try parser.word()
    try parser.expect(sign: "(")
    var parameters: [(String, TemplateExpression?)] = []
    while !parser.takes(sign: ")") {
      let parameter = try parser.word()
      parameters.append((parameter, parser.takes(sign: "=") ? try parser.expression() : nil))
      if !parser.takes(sign: ",") {
        try parser.expect(sign: ")")
        break
      }
    }
    try parser.finish()
    let nodes = try body(until: ["endmacro"]).nodes
    return .macro(name: name, TemplateMacro(parameters: parameters, body: nodes))
  }

  private func error(_ problem: String) -> ApusError {
    ApusError(
      .invalidFile, at: place, problem, remedy: "Restore the file from the checkpoint's source")
  }
}
