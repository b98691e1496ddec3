internal import ApusBase
internal import ApusCore

/// BART: an encoder as BERT's and a decoder that looks at it, both normalized after each sum.
///
/// Properties are the checkpoint's keys below `model`. Tables of positions begin with two rows that
/// belong to no token.
///
/// - Shapes: S rows of sources, T rows of targets, D hidden size, V vocabulary.
/// - Source: Lewis et al., arXiv 1910.13461; transformers, `models/bart/modeling_bart.py`.
final class Bart: BartTransformer, EncoderDecoder {
  /// A model without weights yet.
  init(_ json: JSONNode) throws(ApusError) {
    let field = "max_position_embeddings"
    let config = try BartConfig(
      json, positionFields: (field, field), positionOffset: 2, isPreNorm: false)
    super.init(config) { _ in BartSourceAttention(config) }
  }

  static let architecture = ModelCatalog.Architecture(
    encoderDecoder: "bart", prefix: "model", classPrefix: "Bart",
    defaultTargets: ["q_proj", "v_proj"], ia3Targets: ["q_proj", "v_proj", "fc2"],
    ia3FeedForward: ["fc2"]
  ) { config throws(ApusError) in try Bart(config) }
}
