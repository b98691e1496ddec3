import ApusAdapters
public import ApusBase
import ApusCore
public import ApusModels
import ApusTokenizers
import ApusTorch
public import Foundation

/// A trained classifier, ready for texts: an adapter on its checkpoint, or a merged checkpoint.
public final class Predictor {
  /// Names of the classes, by index.
  public let labels: [String]
  private let classifier: TextClassifier
  private let tokenizer: Tokenizer
  private let maxLength: Int

  /// Texts that go through the model at once.
  private static let batchSize = 32

  /// Opens an adapter folder or a merged checkpoint.
  ///
  /// - Parameters:
  ///   - folder: What `apus run` or `apus export` wrote, or Hugging Face PEFT.
  ///   - checkpoint: The base model; nil for the one that the adapter names.
  ///   - precision: Dtype to compute in.
  /// - Throws: ``ApusError`` for files that are missing, malformed or do not fit together.
  public init(
    _ folder: URL, checkpoint: String? = nil, precision: Precision = .float32
  ) throws(ApusError) {
    let config = folder.appending(path: "adapter_config.json")
    guard FileManager.default.fileExists(atPath: config.path) else {
      let merged = try Checkpoint(folder: folder)
      labels = merged.labels
      classifier = try Backbone(merged, precision: precision).makeClassifier(
        labels: merged.labels.count, pooling: merged.pooling, random: RandomStream(seed: 0))
      guard !classifier.hasFreshHead else {
        throw ApusError(
          .checkpointMismatch, at: folder.path, "the checkpoint has no classification head",
          remedy: "Give an adapter folder, or a checkpoint that was exported with its head")
      }
      tokenizer = try Tokenizer(contentsOf: folder)
      maxLength = Self.positions(merged)
      return
    }
    let adapter = try AdapterFolder(reading: folder)
    guard adapter.task ?? .sequenceClassification == .sequenceClassification else {
      throw ApusError(
        .unsupported, at: folder.path,
        "the adapter was trained for \(adapter.task?.rawValue ?? "another task"), not for classes",
        remedy: "Open it in Hugging Face PEFT, or with \"apus generate\" where it writes texts")
    }
    let opened = try Self.base(adapter, named: checkpoint, of: folder)
    guard let count = adapter.labelCount(beside: opened) else {
      throw ApusError(
        .checkpointMismatch, at: folder.path, "neither adapter nor checkpoint has a head",
        remedy: "Train with the head in modules-to-save")
    }
    let pooling = adapter.notes.flatMap { Pooling(rawValue: $0.pooling) } ?? opened.pooling
    classifier = try Backbone(opened, precision: precision).makeClassifier(
      labels: count, pooling: pooling, random: RandomStream(seed: 0))
    _ = try AdaptedModel(classifier, adapter)
    let names = adapter.notes?.labels ?? []
    labels = names.isEmpty ? (0..<count).map { "LABEL_\($0)" } : names
    tokenizer = try Tokenizer(contentsOf: opened.folder)
    maxLength = adapter.notes?.maxLength ?? Self.positions(opened)
  }

  /// Probabilities of the classes for each text.
  ///
  /// - Throws: ``ApusError`` `.tensorOperation` if the model fails.
  public func probabilities(_ texts: [String]) throws(ApusError) -> [[Double]] {
    var result: [[Double]] = []
    for start in stride(from: 0, to: texts.count, by: Self.batchSize) {
      var ids: [[Int]] = []
      var types: [[Int]] = []
      for text in texts[start..<min(start + Self.batchSize, texts.count)] {
        let encoding = try tokenizer.encode(
          text, truncation: Truncation(maxLength: maxLength), padding: .off)
        ids.append(encoding.ids)
        types.append(encoding.typeIDs)
      }
      let logits = classifier.evaluatedLogits(try TokenBatch(ids, types: types))
      let shares = softmax(logits, dim: 1)
      for row in ids.indices { result.append(shares[row].doubles) }
      try Tensor.check("prediction")
    }
    return result
  }

  private static func base(
    _ adapter: AdapterFolder, named name: String?, of folder: URL
  ) throws(ApusError) -> Checkpoint {
    guard let name = name ?? adapter.baseModel else {
      throw ApusError(
        .invalidConfig, at: folder.path, "the adapter does not say what it was trained on",
        remedy: "Give the base model with --checkpoint")
    }
    return try Checkpoint(folder: try CheckpointLocator.folder(of: name, from: folder))
  }

  /// Tokens that the checkpoint has positions for.
  private static func positions(_ checkpoint: Checkpoint) -> Int {
    checkpoint.maxLength ?? 512
  }
}
