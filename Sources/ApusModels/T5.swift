internal import ApusBase
internal import ApusCore

/// T5, versions 1.0 and 1.1, mT5 and FLAN-T5: norms at the beginnings of branches, no biases, and
/// scores by distance, from one table for each half.
///
/// Properties are the checkpoint's keys. Version 1.0 scales the decoder's rows before the output
/// layer; 1.1 has a gate in the feed-forward and an output layer of its own.
///
/// - Shapes: S rows of sources, T rows of targets, D hidden size, V vocabulary.
/// - Source: Raffel et al., arXiv 1910.10683; Shazeer, arXiv 2002.05202; transformers,
///   `models/t5/modeling_t5.py`.
final class T5: T5Transformer<T5FullAttention> {
  /// A model without weights yet; of mT5 if it is multilingual.
  init(_ json: JSONNode, isMultilingual: Bool = false) throws(ApusError) {
    let config = try T5Config(json, isMultilingual: isMultilingual)
    super.init(config) { T5FullAttention(config, hasTable: $0 == 0) }
  }

  static let architecture = ModelCatalog.Architecture(
    encoderDecoder: "t5", prefix: "", classPrefix: "T5", defaultTargets: ["q", "v"],
    ia3Targets: ["k", "v", "wo"], ia3FeedForward: ["wo"]
  ) { config throws(ApusError) in try T5(config) }

  static let multilingual = ModelCatalog.Architecture(
    encoderDecoder: "mt5", prefix: "", classPrefix: "MT5", defaultTargets: ["q", "v"],
    ia3Targets: ["k", "v", "wi_1"], ia3FeedForward: []
  ) { config throws(ApusError) in try T5(config, isMultilingual: true) }
}
