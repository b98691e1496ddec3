internal import ApusBase
internal import ApusCore

/// mBART and mBART-50: BART with norms at the beginnings of branches, for many languages.
///
/// What the decoder reads begins with the last token of what it is to write: the language in mBART,
/// the end of the text in mBART-50, whose texts begin with their language.
///
/// - Shapes: S rows of sources, T rows of targets, D hidden size, V vocabulary.
/// - Source: Liu et al., arXiv 2001.08210; Tang et al., arXiv 2008.00401; transformers,
///   `models/mbart/modeling_mbart.py`.
final class MBart: BartTransformer, EncoderDecoder {
  /// A model without weights yet.
  init(_ json: JSONNode) throws(ApusError) {
    let field = "max_position_embeddings"
    let config = try BartConfig(
      json, positionFields: (field, field), positionOffset: 2, isPreNorm: true)
    super.init(config) { _ in BartSourceAttention(config) }
  }

  static let architecture = ModelCatalog.Architecture(
    encoderDecoder: "mbart", prefix: "model", classPrefix: "MBart",
    defaultTargets: ["q_proj", "v_proj"]
  ) { config throws(ApusError) in try MBart(config) }

  func decoderInput(for target: [Int]) -> [Int] { target.suffix(1) + target.dropLast() }
}
