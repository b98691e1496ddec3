import ApusBase
import ApusCore
import ApusDatasets
import ApusMethods
import ApusModels
import ApusTraining

/// What a server does with rows of its own.
extension Assembly {
  /// Refuses rows for a server that would never look at them.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` if there are such rows and nothing to align on them.
  static func requirePurpose(
    ofPublicRows experiment: Experiment, _ parts: ModelExtension
  ) throws(ApusError) {
    guard experiment.data.publicRows.file != nil, parts.emulator == nil else { return }
    throw ApusError(
      .invalidConfig, at: "data.public-rows.file",
      "the server of \(experiment.method.card.name) trains on no rows of its own",
      remedy: "Remove it, or set it for methods alone that align an emulator, such as fedbiot")
  }

  /// The server's rows; nil if the method needs none.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` if they are missing, with file and line for bad rows.
  func publicRows() throws(ApusError) -> Dataset? {
    guard method.modelExtension.emulator != nil else { return nil }
    guard let dataset = try ExperimentData.publicRows(of: experiment) else {
      throw ApusError(
        .invalidConfig, at: "data.public-rows", "the server has no rows",
        remedy: "Give a file with data.public-rows.file")
    }
    return dataset
  }

  /// Reads the server's rows and makes a model of its own, on which it aligns an emulator.
  ///
  /// - Throws: ``ApusError`` with file and line for bad rows, `.unsupported` if the method has no
  ///   emulator.
  func makeAligner() throws(ApusError) -> any EmulatorAligner {
    guard let plan = method.modelExtension.emulator, let dataset = try publicRows() else {
      throw ApusError(
        .unsupported, at: "method", "\(experiment.method.card.name) has no emulator to align",
        remedy: "Use a method with one, such as fedbiot")
    }
    let read = try Self.reader(experiment, data, backbone.checkpoint, tokenizer)
    return try PublicAligner(
      model: try makeModel(), rows: try read(dataset), training: experiment.training, plan: plan)
  }
}
