public import ApusBase
import Foundation

/// How an instruction becomes the text that a model goes on from, and what follows its response.
public struct PromptTemplate: Sendable, Equatable {
  /// The text for instructions with an input, with the fields {instruction}, {input} and {response}.
  public let text: String
  /// The text for instructions without one.
  public let textWithoutInput: String

  /// The templates that have a name.
  public static let named: [String: PromptTemplate] = [
    "alpaca": alpaca, "alpaca-short": alpacaShort, "plain": plain,
  ]

  /// The form in which Stanford Alpaca was trained.
  public static let alpaca = PromptTemplate(
    opening: "Below is an instruction that describes a task, paired with an input that provides "
      + "further context. Write a response that appropriately completes the request.\n\n",
    openingWithoutInput: "Below is an instruction that describes a task. Write a response that "
      + "appropriately completes the request.\n\n")

  /// The same without its first paragraph.
  public static let alpacaShort = PromptTemplate(opening: "", openingWithoutInput: "")

  /// Instruction, input and response on lines of their own.
  public static let plain = PromptTemplate(
    checked: "{instruction}\n{input}\n{response}", withoutInput: "{instruction}\n{response}")

  private init(opening: String, openingWithoutInput: String) {
    let (task, answer) = ("### Instruction:\n{instruction}\n\n", "### Response:\n{response}")
    self.init(
      checked: "\(opening)\(task)### Input:\n{input}\n\n\(answer)",
      withoutInput: "\(openingWithoutInput)\(task)\(answer)")
  }

  private init(checked text: String, withoutInput: String) {
    self.text = text
    textWithoutInput = withoutInput
  }

  /// A template of the user's own.
  ///
  /// - Parameters:
  ///   - text: Has {instruction} and then, once, {response}; {input} where the input goes.
  ///   - withoutInput: The same for instructions without an input; nil to leave {input} empty.
  /// - Throws: ``ApusError`` `.invalidConfig` for a missing, repeated or unknown field.
  public init(_ text: String, withoutInput: String? = nil) throws(ApusError) {
    for part in [text, withoutInput ?? text] {
      let pieces = part.components(separatedBy: "{response}")
      guard pieces.count == 2, pieces[0].contains("{instruction}") else {
        throw ApusError(
          .invalidConfig, at: "template-text",
          "the template needs {instruction} and, behind it and once, {response}",
          remedy: "Write for example \"Question: {instruction}\\nAnswer: {response}\"")
      }
      guard !pieces[1].contains("{instruction}"), !pieces[1].contains("{input}") else {
        throw ApusError(
          .invalidConfig, at: "template-text", "a field stands behind {response}",
          remedy: "Put {instruction} and {input} in front of it")
      }
    }
    self.init(checked: text, withoutInput: withoutInput ?? text)
  }

  /// The text in front of the response, and what ends it.
  ///
  /// Texts are put in as they are; a field that stands in one of them is not replaced again.
  public func filled(
    instruction: String, input: String?
  ) -> (prompt: String, ending: String) {
    let isWithInput = input.map { !$0.isEmpty } ?? false
    let pieces = (isWithInput ? text : textWithoutInput).components(separatedBy: "{response}")
    var prompt = ""
    for (index, piece) in pieces[0].components(separatedBy: "{instruction}").enumerated() {
      if index > 0 { prompt += instruction }
      prompt += piece.components(separatedBy: "{input}").joined(separator: input ?? "")
    }
    return (prompt, pieces.count > 1 ? pieces[1] : "")
  }
}
