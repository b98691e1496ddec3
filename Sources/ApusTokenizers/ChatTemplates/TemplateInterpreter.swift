import ApusBase

/// Runs a template: statements print text, and change variables.
///
/// A variable that is set inside of a loop is gone behind it, as in Jinja; a namespace stays.
struct TemplateInterpreter {
  /// How a statement ended.
  private enum Flow {
    case onward
    case leaveLoop
    case nextTurn
  }

  private var scopes: [[String: TemplateValue]]
  private var output = ""
  private var depth = 0
  let place: String

  /// Calls inside one another at most, so that no template can exhaust the stack.
  private static let deepest = 32
  /// Characters that a template prints at most.
  private static let longest = 16 << 20

  /// An interpreter with these variables.
  init(_ variables: [String: TemplateValue], place: String) {
    scopes = [variables]
    self.place = place
  }

  /// The text that the statements print.
  mutating func run(_ nodes: [TemplateNode]) throws(ApusError) -> String {
    _ = try execute(nodes)
    return output
  }

  /// The value of a variable.
  func variable(_ name: String) -> TemplateValue {
    for scope in scopes.reversed() {
      if let value = scope[name] { return value }
    }
    return .undefined
  }

  private mutating func set(_ name: String, _ value: TemplateValue) {
    scopes[scopes.count - 1][name] = value
  }

  private mutating func execute(_ nodes: [TemplateNode]) throws(ApusError) -> Flow {
    for node in nodes {
      switch node {
      case .text(let text): output += text
      case .print(let expression): output += try evaluate(expression).printed
      case .leaveLoop: return .leaveLoop
      case .nextTurn: return .nextTurn
      case .choice(let branches):
        let flow = try choose(branches)
        if case .onward = flow { continue }
        return flow
      case .loop(let loop): try repeatBody(of: loop)
      default: try assign(node)
      }
      guard output.count <= Self.longest else { throw error("the template prints without end") }
    }
    return .onward
  }

  private mutating func choose(
    _ branches: [(condition: TemplateExpression?, body: [TemplateNode])]
  ) throws(ApusError) -> Flow {
    for (condition, body) in branches {
      if let condition, !(try evaluate(condition).isTrue) { continue }
      return try execute(body)
    }
    return .onward
  }

  private mutating func assign(_ node: TemplateNode) throws(ApusError) {
    switch node {
    case .assign(let names, let expression):
      try bind(names, try evaluate(expression))
    case .assignMember(let object, let member, let expression):
      guard case .namespace(let namespace) = variable(object) else {
        throw error("\(object).\(member) is set, but \(object) is no namespace")
      }
      namespace.members[member] = try evaluate(expression)
    case .capture(let name, let body):
      let before = output
      output = ""
      _ = try execute(body)
      set(name, .text(output))
      output = before
    case .macro(let name, let macro):
      set(name, .function(function(of: macro)))
    default: break
    }
  }

  /// Gives names their values, one by one if there are several.
  private mutating func bind(_ names: [String], _ value: TemplateValue) throws(ApusError) {
    guard names.count > 1 else { return set(names[0], value) }
    guard case .list(let elements) = value, elements.count == names.count else {
      throw error("\(value.kind) cannot be given to \(names.count) names")
    }
    for (name, element) in zip(names, elements) { set(name, element) }
  }

  private mutating func repeatBody(of loop: TemplateLoop) throws(ApusError) {
    let sequence = try evaluate(loop.sequence)
    guard var elements = sequence.elements else {
      throw error("\(sequence.kind) cannot be walked over")
    }
    scopes.append([:])
    defer { scopes.removeLast() }
    if let filter = loop.filter {
      var kept: [TemplateValue] = []
      for element in elements {
        try bind(loop.names, element)
        if try evaluate(filter).isTrue { kept.append(element) }
      }
      elements = kept
    }
    if elements.isEmpty { _ = try execute(loop.otherwise) }
    for (index, element) in elements.enumerated() {
      scopes[scopes.count - 1] = ["loop": Self.turn(index, elements)]
      try bind(loop.names, element)
      if case .leaveLoop = try execute(loop.body) { break }
    }
  }

  /// The variable `loop`.
  private static func turn(_ index: Int, _ elements: [TemplateValue]) -> TemplateValue {
    let count = elements.count
    var map = TemplateMap()
    map["index"] = .int(index + 1)
    map["index0"] = .int(index)
    map["revindex"] = .int(count - index)
    map["revindex0"] = .int(count - index - 1)
    map["first"] = .bool(index == 0)
    map["last"] = .bool(index == count - 1)
    map["length"] = .int(count)
    map["previtem"] = index > 0 ? elements[index - 1] : .undefined
    map["nextitem"] = index + 1 < count ? elements[index + 1] : .undefined
    return .map(map)
  }

  /// A macro sees the variables of the template's top, and its own.
  private func function(of macro: TemplateMacro) -> TemplateValue.Function {
    let top = scopes[0]
    let (place, depth) = (place, depth)
    return TemplateValue.Function { (arguments) throws(ApusError) in
      var inner = TemplateInterpreter(top, place: place)
      inner.depth = depth + 1
      guard inner.depth <= Self.deepest else { throw inner.error("calls are nested too deeply") }
      // Macros that call each other find each other by the top scope of the call.
      inner.scopes.append([:])
      for (index, parameter) in macro.parameters.enumerated() {
        var value = arguments.value(index, parameter.name)
        if value == nil, let fallback = parameter.fallback {
          value = try inner.evaluate(fallback)
        }
        inner.set(parameter.name, value ?? .undefined)
      }
      return .text(try inner.run(macro.body))
    }
  }

  /// An error about this template.
  func error(_ problem: String) -> ApusError {
    ApusError(
      .unsupported, at: place, problem,
      remedy: "Check the messages, or use a prompt template instead of the checkpoint's")
  }
}

extension TemplateValue {
  /// What `for` walks over: elements, keys, or characters; nil for anything else.
  var elements: [TemplateValue]? {
    switch self {
    case .list(let elements): elements
    case .map(let map): map.entries.map { .text($0.key) }
    case .text(let text): text.unicodeScalars.map { .text(String($0)) }
    case .undefined: []
    default: nil
    }
  }
}
