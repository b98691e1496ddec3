public import ApusBase
internal import ApusCore
internal import ApusTorch
public import Foundation

extension TextClassifier {
  /// Writes the model as it is now to a folder that transformers opens.
  ///
  /// Tokenizer files of the checkpoint are copied along. A model with ``Pooling/mean`` is written
  /// as an encoder with a `classifier` beside it and `classifier_pooling` in its configuration;
  /// transformers then opens the encoder.
  ///
  /// - Parameters:
  ///   - folder: Made, or replaced as a whole if it holds nothing but such files.
  ///   - checkpoint: Where the model's configuration and tokenizer come from.
  ///   - labels: Names of the classes, in order; empty for LABEL_0, LABEL_1, ….
  /// - Throws: ``ApusError`` `.invalidConfig` for a wrong number of names, `.fileAccess` if the
  ///   folder cannot be written.
  public func write(
    to folder: URL, like checkpoint: Checkpoint, labels: [String] = []
  ) throws(ApusError) {
    let names = labels.isEmpty ? (0..<labelCount).map { "LABEL_\($0)" } : labels
    guard names.count == labelCount else {
      throw ApusError(
        .invalidConfig, at: "labels", "\(names.count) names for \(labelCount) classes",
        remedy: "Give one name for each class")
    }
    try CheckpointWriting(checkpoint, self).write(to: folder) { fields in
      let indexed = names.enumerated().map { (String($0.offset), $0.element) }
      let suffix = pooling == .cls ? "ForSequenceClassification" : "Model"
      fields["architectures"] = ["\(checkpoint.architecture.classPrefix)\(suffix)"]
      fields["id2label"] = Dictionary(uniqueKeysWithValues: indexed)
      fields["label2id"] = Dictionary(
        names.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
      fields["classifier_pooling"] = pooling == .cls ? nil : pooling.rawValue
    }
  }
}

extension CausalLanguageModel {
  /// Writes the model as it is now to a folder that transformers opens, with the tokenizer's files.
  ///
  /// - Parameters:
  ///   - folder: Made, or replaced as a whole if it holds nothing but such files.
  ///   - checkpoint: Where the model's configuration and tokenizer come from.
  /// - Throws: ``ApusError`` `.fileAccess` if the folder cannot be written.
  public func write(to folder: URL, like checkpoint: Checkpoint) throws(ApusError) {
    try CheckpointWriting(checkpoint, self).write(to: folder) { fields in
      fields["architectures"] = [checkpoint.architecture.languageClass]
    }
  }
}

extension SequenceToSequenceModel {
  /// Writes the model as it is now; as `CausalLanguageModel.write(to:like:)`.
  public func write(to folder: URL, like checkpoint: Checkpoint) throws(ApusError) {
    try CheckpointWriting(checkpoint, self).write(to: folder) { fields in
      fields["architectures"] = [
        "\(checkpoint.architecture.classPrefix)ForConditionalGeneration"
      ]
    }
  }
}

extension MaskedLanguageModel {
  /// Writes the model as it is now; as `CausalLanguageModel.write(to:like:)`.
  public func write(to folder: URL, like checkpoint: Checkpoint) throws(ApusError) {
    try CheckpointWriting(checkpoint, self).write(to: folder) { fields in
      fields["architectures"] = ["\(checkpoint.architecture.classPrefix)ForMaskedLM"]
    }
  }
}

extension TokenScorer {
  /// Writes the model as it is now; as `TextClassifier.write(to:like:labels:)`, with names of tags.
  public func write(
    to folder: URL, like checkpoint: Checkpoint, labels: [String] = []
  ) throws(ApusError) {
    let suffix = purpose == .answer ? "ForQuestionAnswering" : "ForTokenClassification"
    try CheckpointWriting(checkpoint, self).write(to: folder) { fields in
      fields["architectures"] = ["\(checkpoint.architecture.classPrefix)\(suffix)"]
      guard labels.count == scoreCount, purpose != .answer else { return }
      fields["id2label"] = Dictionary(
        uniqueKeysWithValues: labels.enumerated().map { (String($0.offset), $0.element) })
      fields["label2id"] = Dictionary(
        labels.enumerated().map { ($0.element, $0.offset) },
        uniquingKeysWith: { first, _ in first })
    }
  }
}

/// A model on its way into a checkpoint folder.
private struct CheckpointWriting {
  private let checkpoint: Checkpoint
  private let model: Module

  private static let copiedFiles = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model",
    "chat_template.jinja", "generation_config.json",
  ]

  init(_ checkpoint: Checkpoint, _ model: Module) {
    self.checkpoint = checkpoint
    self.model = model
  }

  /// Writes weights, the configuration with the task's own fields, and the tokenizer's files.
  func write(
    to folder: URL, _ change: (inout [String: Any]) -> Void
  ) throws(ApusError) {
    let parameters = model.parameters
    var fields = checkpoint.config.foundationValue as? [String: Any] ?? [:]
    fields["model_type"] = checkpoint.architecture.modelType
    fields["torch_dtype"] = nil
    fields["dtype"] = parameters.first?.parameter.value.dtype.rawValue
    change(&fields)
    let options: JSONSerialization.WritingOptions = [.prettyPrinted, .sortedKeys]
    let config = (try? JSONSerialization.data(withJSONObject: fields, options: options)) ?? Data()
    let tensors = parameters.map { (name: $0.key, tensor: $0.parameter.stored) }
    try AtomicFolder.write(folder) { (draft) throws(ApusError) in
      try Safetensors.write(
        tensors, metadata: ["format": "pt"], to: draft.appendingPathComponent("model.safetensors"))
      try AtomicFolder.put(config, named: "config.json", into: draft)
      for name in Self.copiedFiles {
        let source = checkpoint.folder.appendingPathComponent(name)
        guard let bytes = try? Data(contentsOf: source) else { continue }
        try AtomicFolder.put(bytes, named: name, into: draft)
      }
    }
  }
}
