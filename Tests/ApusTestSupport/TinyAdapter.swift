import ApusAdapters
import ApusBase
import ApusCore
import ApusModels
import ApusTorch
public import Foundation

/// A random PEFT folder of plain LoRA on a tiny checkpoint.
public enum TinyAdapter {
  /// Writes the folder: two projections of each block of a decoder, or the queries of an encoder
  /// with a head of three classes.
  ///
  /// - Parameters:
  ///   - folder: Made if missing.
  ///   - rank: Of every site; alpha is the same number.
  ///   - seed: Of factors and head.
  ///   - base: What ``TinyDecoder`` or ``TinyCheckpoint`` wrote.
  /// - Throws: What reading the base or writing the folder throws.
  public static func write(to folder: URL, rank: Int, seed: Int, on base: URL) throws {
    let backbone = try Backbone(Checkpoint(folder: base))
    let random = RandomStream(seed: UInt64(seed))
    let isDecoder = backbone.checkpoint.isLanguageModel
    var configuration = AdapterConfiguration()
    (configuration.rank, configuration.alpha) = (rank, Double(rank))
    configuration.targets = .names(isDecoder ? ["q_proj", "v_proj"] : ["query"])
    let model: Module
    if isDecoder {
      configuration.modulesToSave = []
      model = try backbone.makeLanguageModel()
    } else {
      model = try backbone.makeClassifier(labels: 3, pooling: .mean, random: random)
    }
    let adapted = try AdaptedModel(model, configuration, random: random)
    var values = adapted.values
    for (name, tensor) in values {
      var stream = random.substream(name)
      values[name] = tensor + .normal(tensor.shape, deviation: 0.1, stream: &stream)
    }
    try adapted.load(values)
    let labels = isDecoder ? [] : ["ship", "seed", "string"]
    try adapted.folder(
      baseModel: base.path, notes: AdapterNotes(pooling: "mean", labels: labels),
      task: isDecoder ? .causalLanguageModel : .sequenceClassification
    ).write(to: folder)
  }
}
