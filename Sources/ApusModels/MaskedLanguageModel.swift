public import ApusBase
public import ApusCore
public import ApusTorch

/// Says which word stands behind a mask.
///
/// Keys are those of transformers' `…ForMaskedLM`. The head is frozen: a projection, a norm, and
/// the table of words that the embeddings have too.
///
/// - Shapes: T tokens, D hidden size, E embedding size, V vocabulary.
public final class MaskedLanguageModel: Module {
  /// As in ``CausalLanguageModel/recomputedLeaves``.
  public var recomputedLeaves: (() -> [Tensor])?
  private let encoder: Key<any TextEncoder>
  private let dense: Key<Linear>
  private let norm: Key<LayerNorm>
  private let bias: Key<Parameter>
  private let activation: Activation
  private let table: Parameter

  /// How an architecture calls the parts of its head.
  struct HeadKeys: Sendable {
    let dense: String
    let norm: String
    /// The first of these that a file has.
    let bias: [String]
    let activation: (field: String, fallback: String)
  }

  private static let bertKeys = HeadKeys(
    dense: "cls.predictions.transform.dense", norm: "cls.predictions.transform.LayerNorm",
    bias: ["cls.predictions.bias", "cls.predictions.decoder.bias"],
    activation: ("hidden_act", "gelu"))
  private static let robertaKeys = HeadKeys(
    dense: "lm_head.dense", norm: "lm_head.layer_norm",
    bias: ["lm_head.bias", "lm_head.decoder.bias"], activation: ("", "gelu"))
  private static let keys: [String: HeadKeys] = [
    "bert": bertKeys, "deberta": bertKeys, "deberta-v2": bertKeys, "roberta": robertaKeys,
    "xlm-roberta": robertaKeys,
    "distilbert": HeadKeys(
      dense: "vocab_transform", norm: "vocab_layer_norm", bias: ["vocab_projector.bias"],
      activation: ("activation", "gelu")),
    "albert": HeadKeys(
      dense: "predictions.dense", norm: "predictions.LayerNorm",
      bias: ["predictions.bias", "predictions.decoder.bias"],
      activation: ("hidden_act", "gelu_new")),
  ]

  /// The names of the head's parts.
  ///
  /// - Throws: ``ApusError`` `.unsupported` for an architecture without one.
  static func headKeys(
    _ architecture: ModelCatalog.Architecture, _ config: JSONNode
  ) throws(ApusError) -> HeadKeys {
    guard let found = keys[architecture.modelType] else {
      throw ApusError(
        .unsupported, at: config["model_type"].place,
        "\(architecture.modelType) does not guess masked words",
        remedy: "Give a checkpoint of \(keys.keys.sorted().joined(separator: ", "))")
    }
    return found
  }

  init(
    _ architecture: ModelCatalog.Architecture, _ config: JSONNode, bias name: String
  ) throws(ApusError) {
    let keys = try Self.headKeys(architecture, config)
    let encoder = try architecture.makeEncoder(config, false)
    let words = encoder.parameters.first {
      $0.key.hasSuffix("embeddings.word_embeddings.weight")
    }
    guard let table = words?.parameter else {
      throw config.error(
        "there is no table of words", remedy: "Give a checkpoint of another architecture")
    }
    let epsilon = try config["layer_norm_eps"].number(in: 0...1, default: 1e-12)
    self.encoder = Key(wrappedValue: encoder, architecture.prefix)
    self.table = table
    dense = Key(wrappedValue: Linear(encoder.hiddenSize, table.shape[1]), keys.dense)
    norm = Key(wrappedValue: LayerNorm(table.shape[1], epsilon: epsilon), keys.norm)
    bias = Key(wrappedValue: Parameter(table.shape[0]), name)
    activation = try Activation(
      config[keys.activation.field], default: keys.activation.fallback)
  }

  /// V.
  public var vocabularySize: Int { table.shape[0] }

  /// Refuses tokens that the model does not have.
  ///
  /// - Throws: ``ApusError`` `.invalidData` that names the bound.
  public func check(_ batch: TokenBatch) throws(ApusError) {
    try encoder.wrappedValue.check(batch)
  }

  /// Scores of words at some tokens [n, k] in float32, for training if there is a source of chance.
  ///
  /// - Parameters:
  ///   - batch: The texts.
  ///   - rows: The tokens that are asked for, as rows of the batch.
  ///   - words: The words that are scored; nil for all V.
  ///   - random: Source of dropout; nil in evaluation.
  /// - Returns: One row for each token, one column for each word.
  public func scores(
    _ batch: TokenBatch, rows: [Int], words: [Int]? = nil, random: RandomStream?
  ) -> Tensor {
    let pass = ForwardPass(
      layout: batch.layout, random: random, recomputedLeaves: recomputedLeaves?())
    let hidden = encoder.wrappedValue.hidden(batch, pass)
    let index = { (values: [Int]) in
      Tensor(values, shape: [values.count]).to(device: hidden.device)
    }
    let asked = hidden.indexSelected(0, index(rows)).to(.float32)
    let shaped = norm.wrappedValue(activation(dense.wrappedValue(asked)))
    var (table, bias) = (table.value, bias.wrappedValue.value)
    if let words {
      (table, bias) = (table.indexSelected(0, index(words)), bias.indexSelected(0, index(words)))
    }
    return linear(shaped, weight: table.to(.float32), bias: bias.to(.float32))
  }
}
