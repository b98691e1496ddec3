public import ApusBase
public import Foundation

/// One turn of a conversation.
public struct ChatMessage: Sendable, Equatable {
  /// Who speaks: `system`, `user` or `assistant`.
  public var role: String
  /// What is said.
  public var content: String

  /// Collects a turn.
  public init(role: String, content: String) {
    self.role = role
    self.content = content
  }
}

/// How a checkpoint writes a conversation as text, special tokens included.
///
/// Templates are written in a part of Jinja: `if`, `for`, `set`, `macro`, and the expressions,
/// filters and tests that chat templates use. What is beyond that is refused by name.
public struct ChatTemplate: Sendable {
  private let source: String
  private let place: String
  private let tokens: [String: String]

  /// A template from its text.
  ///
  /// - Parameters:
  ///   - source: The template.
  ///   - tokens: Special tokens by the names that templates give them, such as `bos_token`.
  ///   - place: Where it comes from, for errors.
  /// - Throws: ``ApusError`` `.invalidFile` if it cannot be read, `.unsupported` for a statement
  ///   that is not supported.
  public init(
    _ source: String, tokens: [String: String] = [:], place: String = "chat template"
  ) throws(ApusError) {
    self.source = source
    self.place = place
    self.tokens = tokens
    _ = try nodes
  }

  /// The template of a checkpoint folder: chat_template.jinja, or that of tokenizer_config.json.
  ///
  /// - Parameter folder: The checkpoint.
  /// - Throws: ``ApusError`` `.invalidFile` or `.unsupported` as for a text, and `.unsupported` if
  ///   the checkpoint has no template.
  public init(contentsOf folder: URL) throws(ApusError) {
    let file = folder.appendingPathComponent("tokenizer_config.json")
    let config = try TokenizerConfig(beside: file)
    var tokens: [String: String] = [:]
    for name in ["bos", "eos", "unk", "sep", "pad", "cls", "mask"] {
      tokens["\(name)_token"] = try config.token("\(name)_token")
    }
    let own = folder.appendingPathComponent("chat_template.jinja")
    if FileManager.default.fileExists(atPath: own.path) {
      let text = String(decoding: try CheckpointFile.bytes(of: own), as: UTF8.self)
      try self.init(text, tokens: tokens, place: own.path)
      return
    }
    let node = config.node["chat_template"]
    guard node.exists else {
      throw ApusError(
        .unsupported, at: folder.path, "the checkpoint has no chat template",
        remedy: "Use a prompt template such as alpaca")
    }
    try self.init(try Self.text(node), tokens: tokens, place: node.place)
  }

  /// The template called default, where there are several.
  private static func text(_ node: JSONNode) throws(ApusError) -> String {
    guard node.foundationValue is [Any] else { return try node.string() }
    for choice in try node.array() where try choice["name"].string() == "default" {
      return try choice["template"].string()
    }
    throw node.error(
      "none of the templates is called \"default\"",
      remedy: "Give one of them that name, or use a prompt template")
  }

  private var nodes: [TemplateNode] {
    get throws(ApusError) {
      var parser = try TemplateParser(source, place: place)
      return try parser.parse()
    }
  }

  /// The conversation as text.
  ///
  /// - Parameters:
  ///   - messages: The turns.
  ///   - addGenerationPrompt: Whether the text ends where the assistant is to go on.
  /// - Returns: Text to tokenize without further special tokens.
  /// - Throws: ``ApusError`` `.invalidData` if the template refuses the messages, `.unsupported` for
  ///   what it asks beyond the supported part of Jinja.
  public func render(
    _ messages: [ChatMessage], addGenerationPrompt: Bool
  ) throws(ApusError) -> String {
    var variables = tokens.mapValues { TemplateValue.text($0) }
    variables["messages"] = .list(
      messages.map { message in
        var map = TemplateMap()
        map["role"] = .text(message.role)
        map["content"] = .text(message.content)
        return .map(map)
      })
    variables["add_generation_prompt"] = .bool(addGenerationPrompt)
    variables["tools"] = TemplateValue.null
    variables["documents"] = TemplateValue.null
    var interpreter = TemplateInterpreter(variables, place: place)
    return try interpreter.run(try nodes)
  }
}
