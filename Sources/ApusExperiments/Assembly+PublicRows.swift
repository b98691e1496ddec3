import ApusBase
import ApusCore
import ApusMethods
import ApusModels
import ApusTraining

/// What a server does with rows of its own.
extension Assembly {
  /// Reads the server's rows and makes a model of its own, on which it aligns an emulator.
  ///
  /// - Throws: ``ApusError`` with file and line for bad rows, `.unsupported` if the method has no
  ///   emulator or the task none.
  func makeAligner() throws(ApusError) -> any EmulatorAligner {
    guard let plan = method.modelExtension.emulator else {
      throw ApusError(
        .unsupported, at: "method", "\(experiment.method.card.name) has no emulator to align",
        remedy: "Use a method with one, such as fedbiot")
    }
    guard let dataset = try ExperimentData.publicRows(of: experiment) else {
      throw ApusError(
        .invalidConfig, at: "data.public-rows", "the server has no rows",
        remedy: "Give a file with data.public-rows.file")
    }
    let read = try Self.reader(experiment, data, backbone.checkpoint, tokenizer)
    return try PublicAligner(
      model: try makeModel(), rows: try read(dataset), training: experiment.training, plan: plan)
  }
}
