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
    /// Beginnings of keys below ``prefix`` that a file may have and the encoder need not.
    let optionalParts: [String]
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

    init(
      modelType: String, prefix: String, classPrefix: String, hasPooler: Bool,
      defaultTargets: [String], optionalParts: [String] = ["pooler."],
      unusedPositions: @escaping @Sendable (JSONNode) -> Int = { _ in 0 },
      makeEncoder: @escaping @Sendable (JSONNode, Bool) throws(ApusError) -> any TextEncoder,
      makeHead: @escaping @Sendable (JSONNode, Int, Int) throws(ApusError) -> any SequenceHead
    ) {
      self.modelType = modelType
      self.prefix = prefix
      self.classPrefix = classPrefix
      self.hasPooler = hasPooler
      self.defaultTargets = defaultTargets
      self.optionalParts = optionalParts
      self.unusedPositions = unusedPositions
      self.makeEncoder = makeEncoder
      self.makeHead = makeHead
    }

    /// Whether transformers has a class of this name for the architecture.
    func hasClass(_ name: String) -> Bool {
      name == "\(classPrefix)Model" || name.hasPrefix("\(classPrefix)For")
    }
  }

  /// Every architecture.
  public static let all: [Architecture] = [
    Bert.architecture, Roberta.architecture, Roberta.multilingual, DistilBert.architecture,
    Albert.architecture, Deberta.architecture, DebertaV2.architecture,
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
