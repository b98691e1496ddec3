import ApusAdapters
import ApusBase
import ApusCore
import ApusModels
import ApusTorch
import Foundation

/// A checkpoint with an adapter of a folder on it, opened for what the adapter was trained for.
struct AdaptedCheckpoint {
  /// The model with the adapter.
  let adapted: AdaptedModel
  private let write: (URL) throws(ApusError) -> Void

  /// Puts an adapter on a checkpoint.
  ///
  /// - Parameters:
  ///   - adapter: Of a folder.
  ///   - backbone: The base model, shared by all that are opened on it.
  /// - Throws: ``ApusError`` if they do not fit together.
  init(_ adapter: AdapterFolder, on backbone: Backbone) throws(ApusError) {
    let (checkpoint, random) = (backbone.checkpoint, RandomStream(seed: 0))
    let task = adapter.task ?? (checkpoint.isLanguageModel ? .causalLanguageModel : nil)
    let count = adapter.labelCount(beside: checkpoint) ?? 1
    let names = adapter.notes?.labels ?? []
    let labels = names.count == count ? names : []
    switch task ?? .sequenceClassification {
    case .sequenceClassification:
      let pooling = adapter.notes.flatMap { Pooling(rawValue: $0.pooling) } ?? checkpoint.pooling
      let model = try backbone.makeClassifier(
        labels: count, pooling: pooling, random: random)
      adapted = try AdaptedModel(model, adapter)
      write = { (folder) throws(ApusError) in
        try model.write(to: folder, like: checkpoint, labels: labels)
      }
    case .causalLanguageModel:
      let model = try backbone.makeLanguageModel()
      adapted = try AdaptedModel(model, adapter)
      write = { (folder) throws(ApusError) in try model.write(to: folder, like: checkpoint) }
    case .sequenceToSequence:
      let model = try backbone.makeSequenceToSequenceModel()
      adapted = try AdaptedModel(model, adapter)
      write = { (folder) throws(ApusError) in try model.write(to: folder, like: checkpoint) }
    case .tokenClassification:
      let model = try backbone.makeTokenScorer(.tags(count), random: random)
      adapted = try AdaptedModel(model, adapter)
      write = { (folder) throws(ApusError) in
        try model.write(to: folder, like: checkpoint, labels: labels)
      }
    case .questionAnswering:
      let model = try backbone.makeTokenScorer(.answer, random: random)
      adapted = try AdaptedModel(model, adapter)
      write = { (folder) throws(ApusError) in try model.write(to: folder, like: checkpoint) }
    case .maskedLanguageModel:
      let model = try backbone.makeMaskedLanguageModel()
      adapted = try AdaptedModel(model, adapter)
      write = { (folder) throws(ApusError) in try model.write(to: folder, like: checkpoint) }
    }
  }

  /// Adds the adapter to the weights and writes the checkpoint.
  ///
  /// - Throws: ``ApusError`` `.fileAccess` if the folder cannot be written.
  func writeMerged(to folder: URL) throws(ApusError) {
    adapted.merge()
    try Tensor.check("merging")
    try write(folder)
  }
}
