import ApusBase
import ApusTorch
public import Foundation

/// A random LLaMA of a few thousand parameters with the tokenizer of ``TinyCheckpoint``.
///
/// [CLS] begins and [SEP] ends a text.
public enum TinyDecoder {
  /// Writes config.json, tokenizer.json and model.safetensors into a folder, made if missing.
  public static func write(to folder: URL, layers: Int = 2) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let hidden = TinyCheckpoint.hidden
    let config: [String: Any] = [
      "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
      "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": 2,
      "intermediate_size": TinyCheckpoint.inner, "vocab_size": TinyCheckpoint.vocabulary.count,
      "tie_word_embeddings": true, "bos_token_id": 2, "eos_token_id": 3, "pad_token_id": 0,
      "attention_dropout": 0.1,
    ]
    try TinyCheckpoint.json(config).write(to: folder.appending(path: "config.json"))
    try TinyCheckpoint.json(TinyCheckpoint.tokenizer(TinyCheckpoint.vocabulary))
      .write(to: folder.appending(path: "tokenizer.json"))
    try Safetensors.write(
      weights(layers), metadata: ["format": "pt"], to: folder.appending(path: "model.safetensors"))
  }

  private static func weights(_ layers: Int) -> [(name: String, tensor: Tensor)] {
    let (hidden, inner) = (TinyCheckpoint.hidden, TinyCheckpoint.inner)
    var found: [(String, Tensor)] = []
    let root = RandomStream(seed: 12)
    func normal(_ name: String, _ shape: [Int]) {
      var stream = root.substream(name)
      found.append((name, Tensor.normal(shape, deviation: 0.2, stream: &stream)))
    }
    func norm(_ name: String) { found.append((name, Tensor.ones([hidden]))) }
    normal("model.embed_tokens.weight", [TinyCheckpoint.vocabulary.count, hidden])
    norm("model.norm.weight")
    for layer in 0..<layers {
      let path = "model.layers.\(layer)"
      norm("\(path).input_layernorm.weight")
      norm("\(path).post_attention_layernorm.weight")
      for (name, outputs) in [("q", hidden), ("k", hidden / 2), ("v", hidden / 2), ("o", hidden)] {
        normal("\(path).self_attn.\(name)_proj.weight", [outputs, hidden])
      }
      for name in ["gate", "up"] { normal("\(path).mlp.\(name)_proj.weight", [inner, hidden]) }
      normal("\(path).mlp.down_proj.weight", [hidden, inner])
    }
    return found
  }
}
