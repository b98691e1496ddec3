internal import ApusBase
internal import ApusCore

/// The architectures that Apus has, one file each; a new one is added to ``all``.
public enum ModelCatalog {
  /// How one architecture is recognized, named and made.
  public struct Architecture: Sendable {
    /// `model_type` of its `config.json`.
    public let modelType: String
    /// Name of the encoder in the keys of models with a head: `bert.encoder.…`.
    public let prefix: String
    /// Beginning of its class names in transformers: `Bert` of `BertForSequenceClassification`.
    public let classPrefix: String
    /// Whether the encoder itself has a trained projection of the first token.
    public let hasPooler: Bool
    /// The projections that LoRA acts at by custom, as PEFT chooses them where nothing is said.
    public let defaultTargets: [String]
    /// The projections that IA3 acts at by custom, as PEFT chooses them; empty if it chooses none.
    public let ia3Targets: [String]
    /// Those among them whose input is scaled, not their output.
    public let ia3FeedForward: [String]
    /// Beginnings of keys below ``prefix`` that a file may have and the encoder need not.
    let optionalParts: [String]
    /// Endings of keys that old files have for tables which are computed.
    let computedTables: [String]
    /// Rows of the table of positions that belong to no token.
    let unusedPositions: @Sendable (_ config: JSONNode) -> Int
    /// Makes the encoder without weights, with the pooler of the checkpoint's own tasks or without.
    let makeEncoder:
      @Sendable (_ config: JSONNode, _ hasPooler: Bool) throws(ApusError)
        -> any TextEncoder
    /// Makes the head of transformers' classifier, without weights.
    let makeHead:
      @Sendable (_ config: JSONNode, _ hiddenSize: Int, _ labels: Int) throws(ApusError)
        -> any SequenceHead
    /// Makes the decoder without weights; nil for architectures whose tokens see later ones.
    let makeDecoder: (@Sendable (_ config: JSONNode) throws(ApusError) -> any TextDecoder)?
    /// Makes both halves without weights; nil for architectures that have one.
    let makeEncoderDecoder:
      (@Sendable (_ config: JSONNode) throws(ApusError) -> any EncoderDecoder)?

    init(
      modelType: String, prefix: String, classPrefix: String, hasPooler: Bool,
      defaultTargets: [String], ia3Targets: [String] = [], ia3FeedForward: [String] = [],
      optionalParts: [String] = ["pooler."],
      unusedPositions: @escaping @Sendable (JSONNode) -> Int = { _ in 0 },
      makeEncoder: @escaping @Sendable (JSONNode, Bool) throws(ApusError) -> any TextEncoder,
      makeHead: @escaping @Sendable (JSONNode, Int, Int) throws(ApusError) -> any SequenceHead
    ) {
      self.modelType = modelType
      self.prefix = prefix
      self.classPrefix = classPrefix
      self.hasPooler = hasPooler
      self.defaultTargets = defaultTargets
      self.ia3Targets = ia3Targets
      self.ia3FeedForward = ia3FeedForward
      self.optionalParts = optionalParts
      computedTables = ["embeddings.position_ids"]
      self.unusedPositions = unusedPositions
      self.makeEncoder = makeEncoder
      self.makeHead = makeHead
      makeDecoder = nil
      makeEncoderDecoder = nil
    }

    /// An architecture whose tokens see earlier ones only; its classifiers have the head `score`.
    init(
      decoder modelType: String, prefix: String, classPrefix: String, defaultTargets: [String],
      ia3Targets: [String], ia3FeedForward: [String],
      computedTables: [String] = [".rotary_emb.inv_freq"],
      makeDecoder: @escaping @Sendable (JSONNode) throws(ApusError) -> any TextDecoder
    ) {
      self.modelType = modelType
      self.prefix = prefix
      self.classPrefix = classPrefix
      self.defaultTargets = defaultTargets
      self.ia3Targets = ia3Targets
      self.ia3FeedForward = ia3FeedForward
      self.makeDecoder = makeDecoder
      makeEncoderDecoder = nil
      self.computedTables = computedTables
      hasPooler = false
      optionalParts = []
      unusedPositions = { _ in 0 }
      makeEncoder = { (config, _) throws(ApusError) in try makeDecoder(config) }
      makeHead = { (_, size, labels) throws(ApusError) in ScoreHead(size, labels) }
    }

    /// Whether tokens see earlier ones only.
    public var isDecoder: Bool { makeDecoder != nil }

    /// Whether it reads a source and writes a text beside it.
    public var isEncoderDecoder: Bool { makeEncoderDecoder != nil }

    /// An architecture that reads a source and writes a text; it has no classifiers here.
    init(
      encoderDecoder modelType: String, prefix: String, classPrefix: String,
      defaultTargets: [String], ia3Targets: [String] = [], ia3FeedForward: [String] = [],
      makeEncoderDecoder: @escaping @Sendable (JSONNode) throws(ApusError) -> any EncoderDecoder
    ) {
      self.modelType = modelType
      self.prefix = prefix
      self.classPrefix = classPrefix
      self.defaultTargets = defaultTargets
      self.ia3Targets = ia3Targets
      self.ia3FeedForward = ia3FeedForward
      self.makeEncoderDecoder = makeEncoderDecoder
      makeDecoder = nil
      computedTables = []
      hasPooler = false
      optionalParts = []
      unusedPositions = { _ in 0 }
      makeEncoder = { (config, _) throws(ApusError) in
        throw ApusError(
          .unsupported, at: config["model_type"].place, "\(modelType) does not classify texts",
          remedy: "Train it to write the class: a sequence-to-sequence task")
      }
      makeHead = { (_, size, labels) throws(ApusError) in ScoreHead(size, labels) }
    }

    /// Whether its checkpoints can have an output layer over the vocabulary.
    var writesText: Bool { makeDecoder != nil || makeEncoderDecoder != nil }

    /// The class of transformers that predicts the next token.
    var languageClass: String {
      modelType == "gpt2" ? "GPT2LMHeadModel" : "\(classPrefix)ForCausalLM"
    }

    /// The tasks that the architecture can do, by the names of transformers' classes.
    public var tasks: [String] {
      if makeEncoderDecoder != nil { return ["\(classPrefix)ForConditionalGeneration"] }
      let names = ["ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering"]
      return names.map { classPrefix + $0 }
        + (makeDecoder == nil ? ["\(classPrefix)ForMaskedLM"] : [languageClass])
    }

    /// Whether transformers has a class of this name for the architecture.
    func hasClass(_ name: String) -> Bool {
      name == "\(classPrefix)Model" || name.hasPrefix("\(classPrefix)For")
        || (makeDecoder != nil && name == languageClass)
    }
  }

  /// Every architecture.
  public static let all: [Architecture] = [
    Bert.architecture, Roberta.architecture, Roberta.multilingual, DistilBert.architecture,
    Albert.architecture, Deberta.architecture, DebertaV2.architecture, Llama.architecture,
    Mistral.architecture, Qwen2.architecture, Qwen3.architecture, Gemma.architecture,
    Gemma2.architecture, GPT2.architecture, Bart.architecture, MBart.architecture,
    T5.architecture, T5.multilingual, LongT5.architecture, LED.architecture,
  ]

  /// The architecture that a `config.json` names, by `model_type` or else by `architectures`.
  ///
  /// - Throws: ``ApusError`` `.unsupported` that lists what is supported.
  static func architecture(of config: JSONNode) throws(ApusError) -> Architecture {
    let (node, found): (JSONNode, String)
    if config["model_type"].exists {
      (node, found) = (config["model_type"], try config["model_type"].string())
      if let known = all.first(where: { $0.modelType == found }) { return known }
    } else {
      node = config["architectures"]
      found = try classNames(config).first ?? ""
      if let known = all.first(where: { $0.hasClass(found) }) { return known }
    }
    throw ApusError(
      .unsupported, at: node.place, "there is no architecture \"\(found)\"",
      remedy: Spelling.remedy(for: found, allowed: all.map(\.modelType)))
  }

  /// The class names of a `config.json`.
  static func classNames(_ config: JSONNode) throws(ApusError) -> [String] {
    guard config["architectures"].exists else { return [] }
    var names: [String] = []
    for name in try config["architectures"].array() { names.append(try name.string()) }
    return names
  }
}
