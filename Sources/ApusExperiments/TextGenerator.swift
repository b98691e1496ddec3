import ApusAdapters
public import ApusBase
public import ApusModels
import ApusTokenizers
import ApusTorch
public import ApusTraining
public import Foundation

/// A language model, with an adapter or without, that goes on from prompts.
public final class TextGenerator {
  /// A prompt: text, token ids, or an instruction for the template.
  public enum Prompt: Sendable, Equatable {
    /// Text that the tokenizer turns into tokens, its special tokens included.
    case text(String)
    /// Token ids as the model reads them.
    case tokens([Int])
    /// What to do, and what to do it with.
    case instruction(String, input: String?)
  }

  /// What was written.
  public struct Output: Sendable, Equatable {
    /// The tokens, with the stop token if there was one.
    public let tokens: [Int]
    /// Their text; nil for a checkpoint without a tokenizer.
    public let text: String?
  }

  /// How tokens are chosen where nothing else is said: the checkpoint's own settings.
  public let defaults: GenerationOptions
  private let model: CausalLanguageModel
  private let checkpoint: Checkpoint
  private let tokenizer: Tokenizer?

  /// Opens a checkpoint.
  ///
  /// - Parameters:
  ///   - folder: A checkpoint folder.
  ///   - adapter: An adapter folder for it; nil for the checkpoint alone.
  ///   - precision: Dtype to compute in.
  /// - Throws: ``ApusError`` for files that are missing, malformed or do not fit together.
  public init(
    _ folder: URL, adapter: URL? = nil, precision: Precision = .float32
  ) throws(ApusError) {
    checkpoint = try Checkpoint(folder: folder)
    model = try Backbone(checkpoint, precision: precision).makeLanguageModel()
    if let adapter {
      let adapted = try AdaptedModel(model, AdapterFolder(reading: adapter))
      adapted.merge()
    }
    defaults = try GenerationOptions(checkpoint)
    do throws(ApusError) { tokenizer = try Tokenizer(contentsOf: folder) } catch {
      guard error.code == .fileAccess else { throw error }
      tokenizer = nil
    }
  }

  /// Writes a continuation of each prompt.
  ///
  /// - Parameters:
  ///   - prompts: Any number.
  ///   - options: How tokens are chosen.
  ///   - template: How instructions become prompts; nil for the checkpoint's own conversations.
  ///   - seed: Where samples come from; with the number of a prompt, it decides its text.
  ///   - batchSize: Prompts that go through the model at once; changes no result but the last bits.
  /// - Returns: One output a prompt.
  /// - Throws: ``ApusError`` for prompts that the model or the template cannot take.
  public func generate(
    _ prompts: [Prompt], _ options: GenerationOptions, template: PromptTemplate? = .alpaca,
    seed: UInt64 = 0, batchSize: Int = 8
  ) throws(ApusError) -> [Output] {
    var inputs: [[Int]] = []
    for prompt in prompts { inputs.append(try tokens(of: prompt, template)) }
    var outputs: [Output] = []
    for start in stride(from: 0, to: inputs.count, by: max(1, batchSize)) {
      let batch = Array(inputs[start..<min(start + max(1, batchSize), inputs.count)])
      let random = RandomStream(seed: seed).substream("generate")
      for tokens in try model.generate(batch, options, random: random, firstNumber: start) {
        outputs.append(Output(tokens: tokens, text: tokenizer?.decode(tokens)))
      }
    }
    return outputs
  }

  private func tokens(
    of prompt: Prompt, _ template: PromptTemplate?
  ) throws(ApusError) -> [Int] {
    if case .tokens(let ids) = prompt { return ids }
    guard let tokenizer else {
      throw ApusError(
        .fileAccess, at: checkpoint.folder.path, "the checkpoint has no tokenizer",
        remedy: "Copy its files from the source, or give token ids as input_ids")
    }
    switch prompt {
    case .tokens(let ids): return ids
    case .text(let text):
      return try tokenizer.encode(text, truncation: .off, padding: .off).ids
    case .instruction(let instruction, let input):
      let source: PromptFormat.Source =
        if let template {
          .template(template)
        } else {
          .chat(try ChatTemplate(contentsOf: checkpoint.folder))
        }
      return try PromptFormat(source, tokenizer: tokenizer, endToken: defaults.stopTokens.first)
        .prompt(instruction, input: input)
    }
  }
}
