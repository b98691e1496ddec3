public import ApusBase
internal import ApusCore
internal import ApusTorch
public import Foundation

/// How the vectors of an example's tokens become one.
public enum Pooling: String, Sendable, Hashable, Codable, CaseIterable {
  /// The architecture's own: BERT's trained projection of the first token.
  case cls
  /// The mean over all tokens.
  case mean
}

/// A folder as Hugging Face writes it: `config.json` and safetensors.
///
/// Opening one reads the configuration and the weights' table of contents, not the weights.
public struct Checkpoint: Sendable {
  /// Where it is.
  public let folder: URL
  /// Its `config.json`.
  public let config: JSONNode
  /// What it is a checkpoint of.
  public let architecture: ModelCatalog.Architecture
  /// Names of the classes of its head, by index; empty if it names none.
  public let labels: [String]
  /// The pooling that it was made for.
  public let pooling: Pooling
  let weights: ShardedSafetensors
  /// Whether tensors called `classifier` are a head for whole sequences.
  let hasSequenceHead: Bool

  /// Opens a checkpoint folder.
  ///
  /// - Throws: ``ApusError`` `.fileAccess` if a file is missing, `.invalidFile` if one is malformed,
  ///   `.unsupported` for an architecture that Apus does not have.
  public init(folder: URL) throws(ApusError) {
    self.folder = folder
    config = try JSONNode(contentsOf: folder.appendingPathComponent("config.json"))
    architecture = try ModelCatalog.architecture(of: config)
    weights = try ShardedSafetensors(folder: folder)
    labels = try Self.labels(config["id2label"])
    let names = try ModelCatalog.classNames(config)
    let stated = config["classifier_pooling"]
    hasSequenceHead =
      stated.exists || names.isEmpty || names.contains { $0.hasSuffix("ForSequenceClassification") }
    pooling = try Self.pooling(stated, folder)
  }

  /// Whether it was saved as a model of the next token.
  public var isLanguageModel: Bool {
    guard architecture.isDecoder, let names = try? ModelCatalog.classNames(config) else {
      return false
    }
    return names.isEmpty
      ? weights.names.contains("lm_head.weight") : names.contains(architecture.languageClass)
  }

  /// Whether its weights are those of a class of transformers whose name ends so.
  func hasClass(_ suffix: String) -> Bool {
    ((try? ModelCatalog.classNames(config)) ?? []).contains { $0.hasSuffix(suffix) }
  }

  /// Tokens that the model has positions for; nil if `config.json` does not say.
  public var maxLength: Int? {
    let names = ["max_position_embeddings", "n_positions"]
    guard let rows = names.lazy.compactMap({ try? config[$0].int() }).first else { return nil }
    return rows - architecture.unusedPositions(config)
  }

  /// Number of tokens that the model has embeddings for.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` if `config.json` has no such number.
  public var vocabularySize: Int {
    get throws(ApusError) { try config["vocab_size"].size(upTo: 100_000_000) }
  }

  /// Tokens that end a text, as generation_config.json or else config.json names them.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` if they are no token ids.
  public var stopTokens: [Int] {
    get throws(ApusError) {
      var node = config["eos_token_id"]
      let file = folder.appendingPathComponent("generation_config.json")
      if FileManager.default.fileExists(atPath: file.path) {
        let own = try JSONNode(contentsOf: file)["eos_token_id"]
        if own.exists { node = own }
      }
      guard node.exists else { return [] }
      guard node.foundationValue is [Any] else { return [try node.int()] }
      var tokens: [Int] = []
      for token in try node.array() { tokens.append(try token.int()) }
      return tokens
    }
  }

  /// Class names in the order of their indices.
  private static func labels(_ node: JSONNode) throws(ApusError) -> [String] {
    guard node.exists else { return [] }
    var names: [Int: String] = [:]
    for (index, name) in try node.dictionary() { names[Int(index) ?? -1] = try name.string() }
    var ordered: [String] = []
    for index in 0..<names.count {
      guard let name = names[index] else {
        throw node.error(
          "the class indices are not 0…\(names.count - 1)", remedy: "Number the classes from 0")
      }
      ordered.append(name)
    }
    return ordered
  }

  /// The pooling as `config.json` states it, or else as sentence-transformers keeps it.
  private static func pooling(_ stated: JSONNode, _ folder: URL) throws(ApusError) -> Pooling {
    if stated.exists {
      let name = try stated.string()
      guard let known = Pooling(rawValue: name) else {
        throw ApusError(
          .unsupported, at: stated.place, "there is no pooling \"\(name)\"",
          remedy: Spelling.remedy(for: name, allowed: Pooling.allCases.map(\.rawValue)))
      }
      return known
    }
    let file = folder.appendingPathComponent("1_Pooling/config.json")
    guard FileManager.default.fileExists(atPath: file.path) else { return .cls }
    let flag = try JSONNode(contentsOf: file)["pooling_mode_mean_tokens"]
    return flag.exists ? try flag.bool() ? .mean : .cls : .cls
  }
}
