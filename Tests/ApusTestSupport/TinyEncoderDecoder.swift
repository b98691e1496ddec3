import ApusBase
import ApusTorch
public import Foundation

/// A random T5 of a few thousand parameters with the tokenizer of ``TinyCheckpoint``.
///
/// [CLS] begins and [SEP] ends a text; the decoder starts from [PAD].
public enum TinyEncoderDecoder {
  /// Writes config.json, tokenizer.json and model.safetensors into a folder, made if missing.
  public static func write(to folder: URL) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let config: [String: Any] = [
      "architectures": ["T5ForConditionalGeneration"], "model_type": "t5",
      "d_model": TinyCheckpoint.hidden, "d_kv": 8, "d_ff": TinyCheckpoint.inner, "num_heads": 4,
      "num_layers": 2, "vocab_size": TinyCheckpoint.vocabulary.count, "pad_token_id": 0,
      "eos_token_id": 3, "decoder_start_token_id": 0, "dropout_rate": 0.1,
    ]
    try TinyCheckpoint.json(config).write(to: folder.appending(path: "config.json"))
    try TinyCheckpoint.json(TinyCheckpoint.tokenizer(TinyCheckpoint.vocabulary))
      .write(to: folder.appending(path: "tokenizer.json"))
    try Safetensors.write(
      weights, metadata: ["format": "pt"], to: folder.appending(path: "model.safetensors"))
  }

  private static var weights: [(name: String, tensor: Tensor)] {
    let (hidden, inner) = (TinyCheckpoint.hidden, TinyCheckpoint.inner)
    var found: [(String, Tensor)] = []
    let root = RandomStream(seed: 13)
    func normal(_ name: String, _ shape: [Int], _ deviation: Double = 0.2) {
      var stream = root.substream(name)
      found.append((name, Tensor.normal(shape, deviation: deviation, stream: &stream)))
    }
    func norm(_ name: String) { found.append(("\(name).weight", Tensor.ones([hidden]))) }
    normal("shared.weight", [TinyCheckpoint.vocabulary.count, hidden], 1)
    for half in ["encoder", "decoder"] {
      norm("\(half).final_layer_norm")
      for block in 0..<2 {
        let path = "\(half).block.\(block).layer"
        let kinds = half == "encoder" ? ["SelfAttention"] : ["SelfAttention", "EncDecAttention"]
        for (place, kind) in kinds.enumerated() {
          norm("\(path).\(place).layer_norm")
          for name in ["q", "k", "v", "o"] {
            normal("\(path).\(place).\(kind).\(name).weight", [hidden, hidden])
          }
        }
        norm("\(path).\(kinds.count).layer_norm")
        normal("\(path).\(kinds.count).DenseReluDense.wi.weight", [inner, hidden])
        normal("\(path).\(kinds.count).DenseReluDense.wo.weight", [hidden, inner])
      }
      normal("\(half).block.0.layer.0.SelfAttention.relative_attention_bias.weight", [32, 4])
    }
    return found
  }
}
