import ApusBase
import ApusTorch
public import Foundation

/// A random BERT of a few thousand parameters with a tokenizer of a few words.
///
/// Made at test time, so that laws of whole runs need no download and take a second.
public enum TinyCheckpoint {
  /// Words of each class, then words of none.
  public static let topics = [
    ["ship", "sail", "harbour", "anchor", "deck"], ["seed", "soil", "harvest", "plough", "barn"],
    ["string", "bow", "melody", "chord", "choir"],
  ]
  static let fillers = ["the", "old", "a", "new", "near", "with", "small", "of"]

  /// Writes config.json, tokenizer.json and model.safetensors.
  ///
  /// The folder is made if it is missing; `dropout` is the probability of every dropout.
  public static func write(to folder: URL, dropout: Double = 0.1) throws {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let config: [String: Any] = [
      "architectures": ["BertModel"], "model_type": "bert", "hidden_size": hidden,
      "num_hidden_layers": layers, "num_attention_heads": 4, "intermediate_size": inner,
      "hidden_act": "gelu", "hidden_dropout_prob": dropout,
      "attention_probs_dropout_prob": dropout, "max_position_embeddings": 32,
      "type_vocab_size": 2, "vocab_size": vocabulary.count, "layer_norm_eps": 1e-12,
      "initializer_range": 0.02, "position_embedding_type": "absolute", "pad_token_id": 0,
    ]
    try json(config).write(to: folder.appending(path: "config.json"))
    try json(tokenizer(vocabulary)).write(to: folder.appending(path: "tokenizer.json"))
    try Safetensors.write(
      weights(vocabulary.count), metadata: ["format": "pt"],
      to: folder.appending(path: "model.safetensors"))
  }

  static let (hidden, inner, layers) = (32, 64, 2)
  static let vocabulary =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + topics.flatMap(\.self) + fillers

  static func json(_ object: Any) throws -> Data {
    try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
  }

  static func tokenizer(_ vocabulary: [String]) -> [String: Any] {
    let ids = Dictionary(uniqueKeysWithValues: vocabulary.enumerated().map { ($1, $0) })
    let special = vocabulary.prefix(5).map { token in
      [
        "id": ids[token] ?? 0, "content": token, "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true,
      ] as [String: Any]
    }
    return [
      "version": "1.0", "truncation": NSNull(), "padding": NSNull(), "added_tokens": special,
      "normalizer": [
        "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
        "strip_accents": NSNull(), "lowercase": true,
      ],
      "pre_tokenizer": ["type": "BertPreTokenizer"],
      "post_processor": [
        "type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2],
      ],
      "decoder": ["type": "WordPiece", "prefix": "##", "cleanup": true],
      "model": [
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": ids,
      ],
    ]
  }

  private static func weights(_ words: Int) -> [(name: String, tensor: Tensor)] {
    var found: [(String, Tensor)] = []
    let root = RandomStream(seed: 11)
    func normal(_ name: String, _ shape: [Int]) {
      var stream = root.substream(name)
      found.append((name, Tensor.normal(shape, deviation: 0.3, stream: &stream)))
    }
    func linear(_ name: String, _ inputs: Int, _ outputs: Int) {
      normal("\(name).weight", [outputs, inputs])
      found.append(("\(name).bias", Tensor.zeros([outputs])))
    }
    func norm(_ name: String) {
      found.append(("\(name).weight", Tensor.ones([hidden])))
      found.append(("\(name).bias", Tensor.zeros([hidden])))
    }
    normal("embeddings.word_embeddings.weight", [words, hidden])
    normal("embeddings.position_embeddings.weight", [32, hidden])
    normal("embeddings.token_type_embeddings.weight", [2, hidden])
    norm("embeddings.LayerNorm")
    for layer in 0..<layers {
      let path = "encoder.layer.\(layer)"
      for name in ["query", "key", "value"] {
        linear("\(path).attention.self.\(name)", hidden, hidden)
      }
      linear("\(path).attention.output.dense", hidden, hidden)
      norm("\(path).attention.output.LayerNorm")
      linear("\(path).intermediate.dense", hidden, inner)
      linear("\(path).output.dense", inner, hidden)
      norm("\(path).output.LayerNorm")
    }
    linear("pooler.dense", hidden, hidden)
    return found
  }
}
