import ApusBase
import ApusExperiments
import ApusModels
import ApusReports
import ApusTraining
import ArgumentParser
import Foundation

/// `apus generate`: prompts in, what a language model writes behind them out.
struct GenerateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Let a language model go on from prompts: one line in, one line out.",
    discussion: """
      Prompts are lines of text; with --jsonl, or from a file that ends in .jsonl, objects with \
      prompt, with instruction and input (for the template), or with input_ids (token ids). \
      Options not given are those of the checkpoint's generation_config.json. A line feed in a text \
      is printed as \\n; --json prints one object a prompt, with the exact text and its tokens.
      """)

  @Argument(help: "A checkpoint folder or name.")
  var checkpoint: String

  @Option(help: "An adapter folder, as Hugging Face PEFT writes it, or the folder of a run.")
  var adapter: String?

  @Option(name: .shortAndLong, help: "File of prompts; without it, standard input.")
  var input: String?

  @Flag(help: "Lines are JSON objects.")
  var jsonl = false

  @Flag(help: "One JSON object a prompt with text and tokens.")
  var json = false

  @Option(help: "For instructions: alpaca, alpaca-short, plain or chat.")
  var template = "alpaca"

  @Option(help: "Seed of sampling.")
  var seed: UInt64 = 0

  @Option(help: "Prompts that go through the model at once.")
  var batchSize = 8

  @Option(help: "Dtype to compute in: float32 or bfloat16.")
  var precision = Precision.float32.rawValue

  @ArgumentParser.OptionGroup var choice: ChoiceArguments

  func run() throws {
    let here = URL(fileURLWithPath: FileManager.default.currentDirectoryPath)
    let folder = try CheckpointLocator.folder(of: checkpoint, from: here)
    guard let precision = Precision(rawValue: precision) else {
      throw ValidationError("There is no precision \"\(self.precision)\": float32 or bfloat16.")
    }
    guard template == "chat" || PromptTemplate.named[template] != nil else {
      let names = PromptTemplate.named.keys.sorted() + ["chat"]
      throw ValidationError(
        "There is no template \"\(template)\". \(Spelling.remedy(for: template, allowed: names)).")
    }
    let generator = try TextGenerator(
      folder, adapter: adapter.map(RunFolder.adapter), precision: precision)
    let lines = try InputLines.read(input)
    let areObjects = jsonl || input?.hasSuffix(".jsonl") == true
    var prompts: [TextGenerator.Prompt] = []
    for (index, line) in lines.enumerated() {
      prompts.append(
        areObjects ? try Self.prompt(line, "\(input ?? "input"):\(index + 1)") : .text(line))
    }
    let outputs = try generator.generate(
      prompts, choice.over(generator.defaults), template: PromptTemplate.named[template],
      seed: seed, batchSize: batchSize)
    for (prompt, output) in zip(prompts, outputs) {
      StandardStream.output.write(line(prompt, output) + "\n")
    }
  }

  /// The prompt of a JSON object.
  private static func prompt(
    _ line: String, _ place: String
  ) throws(ApusError) -> TextGenerator.Prompt {
    let node = try JSONNode(parsing: Data(line.utf8), file: place)
    if node["input_ids"].exists {
      var ids: [Int] = []
      for id in try node["input_ids"].array() { ids.append(try id.int()) }
      return .tokens(ids)
    }
    if node["instruction"].exists {
      let input = node["input"]
      return .instruction(
        try node["instruction"].string(), input: input.exists ? try input.string() : nil)
    }
    return .text(try node["prompt"].string())
  }

  private func line(_ prompt: TextGenerator.Prompt, _ output: TextGenerator.Output) -> String {
    let ids = "[\(output.tokens.map(String.init).joined(separator: ", "))]"
    guard json else {
      return output.text?.replacing("\\", with: "\\\\").replacing("\n", with: "\\n") ?? ids
    }
    var object: [String: Any] = ["ids": output.tokens]
    if let text = output.text { object["text"] = text }
    if case .text(let text) = prompt { object["prompt"] = text }
    let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
    let data = (try? JSONSerialization.data(withJSONObject: object, options: options)) ?? Data()
    return String(decoding: data, as: UTF8.self)
  }
}

/// How tokens are chosen; what is not given is the checkpoint's.
struct ChoiceArguments: ParsableArguments {
  @Option(help: "Tokens that are written at most.")
  var maxNewTokens: Int?

  @Option(help: "Tokens that are written before a stop token may be.")
  var minNewTokens: Int?

  @Option(parsing: .upToNextOption, help: "Tokens that end a text, by their ids.")
  var stopTokens: [Int] = []

  @Flag(inversion: .prefixedNo, help: "Draw tokens instead of taking the likeliest.")
  var doSample: Bool?

  @Option(help: "Scores are divided by this before they are drawn from.")
  var temperature: Double?

  @Option(help: "Draw from so many of the likeliest tokens; 0 for all.")
  var topK: Int?

  @Option(help: "Draw from the likeliest tokens that together have this share.")
  var topP: Double?

  @Option(help: "Texts that are pursued at the same time.")
  var numBeams: Int?

  @Option(help: "Beams' scores are divided by their length to this power.")
  var lengthPenalty: Double?

  @Option(help: "When beams stop: false, true or never.")
  var earlyStopping: String?

  @Option(help: "Scores of tokens that were there are worsened by this factor.")
  var repetitionPenalty: Double?

  @Option(help: "No sequence of so many tokens comes twice; 0 for any.")
  var noRepeatNgramSize: Int?

  /// The options with those given in place of others.
  func over(_ defaults: GenerationOptions) throws -> GenerationOptions {
    var options = defaults
    if let maxNewTokens { options.maxNewTokens = maxNewTokens }
    if let minNewTokens { options.minNewTokens = minNewTokens }
    if !stopTokens.isEmpty { options.stopTokens = stopTokens }
    if let doSample { options.doSample = doSample }
    if let temperature { options.temperature = temperature }
    if let topK { options.topK = topK }
    if let topP { options.topP = topP }
    if let numBeams { options.numBeams = numBeams }
    if let lengthPenalty { options.lengthPenalty = lengthPenalty }
    if let repetitionPenalty { options.repetitionPenalty = repetitionPenalty }
    if let noRepeatNgramSize { options.noRepeatNgramSize = noRepeatNgramSize }
    if let earlyStopping {
      guard let known = GenerationOptions.EarlyStopping(rawValue: earlyStopping) else {
        throw ValidationError(
          "There is no early stopping \"\(earlyStopping)\": false, true or never.")
      }
      options.earlyStopping = known
    }
    return options
  }
}
