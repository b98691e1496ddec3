public import ApusBase
import ApusDatasets
public import ApusTokenizers

/// How an instruction and its response become tokens.
public struct PromptFormat: Sendable {
  /// Where the text of a prompt comes from.
  public enum Source: Sendable {
    /// A template with fields; the tokenizer adds its special tokens.
    case template(PromptTemplate)
    /// The conversations of the checkpoint, special tokens included.
    case chat(ChatTemplate)
  }

  private let source: Source
  private let tokenizer: Tokenizer
  private let endToken: Int?

  /// A format of prompts.
  ///
  /// - Parameters:
  ///   - source: Where their text comes from.
  ///   - tokenizer: That of the checkpoint.
  ///   - endToken: Ends a response, unless the text does already; nil for none.
  public init(_ source: Source, tokenizer: Tokenizer, endToken: Int?) {
    self.source = source
    self.tokenizer = tokenizer
    self.endToken = endToken
  }

  /// The tokens that a model goes on from.
  ///
  /// - Parameters:
  ///   - instruction: What to do.
  ///   - input: What to do it with; nil for nothing.
  /// - Returns: Token ids without padding.
  /// - Throws: ``ApusError`` `.unsupported` or `.invalidData` if the checkpoint's template refuses.
  public func prompt(_ instruction: String, input: String?) throws(ApusError) -> [Int] {
    switch source {
    case .template(let template):
      return try opening(template.filled(instruction: instruction, input: input).prompt)
    case .chat(let template):
      return try plain(
        template.render([Self.asking(instruction, input)], addGenerationPrompt: true))
    }
  }

  /// A row's prompt and response, cut to a length.
  func row(
    _ example: Example, maxLength: Int
  ) throws(ApusError) -> (prompt: [Int], response: [Int], isCut: Bool) {
    guard let answer = example.response else {
      throw ApusError(
        .invalidData, at: example.source.description, "the row has no response",
        remedy: "Name the column of responses with data.columns.response")
    }
    var prompt = try prompt(example.text, input: example.pair)
    var response: [Int]
    switch source {
    case .template(let template):
      let ending = template.filled(instruction: example.text, input: example.pair).ending
      response = try plain(answer + ending)
    case .chat(let template):
      response = try plain(try Self.reply(answer, to: example, template))
    }
    if let endToken, response.last != endToken { response.append(endToken) }
    guard prompt.count + response.count > maxLength else { return (prompt, response, false) }
    // What opens a text, such as <s>, stays in front of what is left of it.
    let room = max(maxLength - response.count, maxLength / 2)
    if prompt.count > room {
      let opener = try tokenizer.encode("", padding: .off).ids.prefix { $0 == prompt.first }
      prompt = opener.prefix(1) + prompt.suffix(room - opener.prefix(1).count)
    }
    response = Array(response.prefix(maxLength - prompt.count))
    return (prompt, response, true)
  }

  /// What a conversation adds behind its prompt when the answer is in it.
  private static func reply(
    _ answer: String, to example: Example, _ template: ChatTemplate
  ) throws(ApusError) -> String {
    let question = asking(example.text, example.pair)
    let open = try template.render([question], addGenerationPrompt: true)
    let whole = try template.render(
      [question, ChatMessage(role: "assistant", content: answer)], addGenerationPrompt: false)
    return whole.hasPrefix(open) ? String(whole.dropFirst(open.count)) : answer
  }

  private static func asking(_ instruction: String, _ input: String?) -> ChatMessage {
    let text = input.map { $0.isEmpty ? instruction : "\(instruction)\n\n\($0)" }
    return ChatMessage(role: "user", content: text ?? instruction)
  }

  /// Tokens of a text with what the tokenizer puts in front of every text, not what it puts behind.
  private func opening(_ text: String) throws(ApusError) -> [Int] {
    var ids = try tokenizer.encode(text, truncation: .off, padding: .off).ids
    if let endToken, ids.count > 1, ids.last == endToken { ids.removeLast() }
    return ids
  }

  /// Tokens of a text that goes on.
  private func plain(_ text: String) throws(ApusError) -> [Int] {
    try tokenizer.encode(text, addSpecialTokens: false, truncation: .off, padding: .off).ids
  }
}
