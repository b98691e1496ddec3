public import ApusBase
public import ApusCore
internal import ApusTorch
public import Foundation

/// What an adapter needs to be used again and PEFT has no place for; kept in `apus.json`.
public struct AdapterNotes: Sendable, Equatable, Codable {
  /// How tokens become one vector: `cls` or `mean`.
  public var pooling: String
  /// Names of the classes, by index.
  public var labels: [String]
  /// Tokens to which texts are cut; nil for as many as the model has positions.
  public var maxLength: Int?

  /// Collects the notes.
  public init(pooling: String, labels: [String], maxLength: Int? = nil) {
    self.pooling = pooling
    self.labels = labels
    self.maxLength = maxLength
  }
}

/// An adapter as Hugging Face PEFT keeps it: `adapter_config.json` and `adapter_model.safetensors`.
public struct AdapterFolder: Sendable {
  /// Where the adapter acts, and its ranks.
  public var configuration: AdapterConfiguration
  /// Its tensors, by the names that PEFT gives them.
  public var tensors: NamedTensors
  /// Hub name or folder of the checkpoint that it was trained on; nil if the folder does not say.
  public var baseModel: String?
  /// What PEFT does not know; nil in folders that Apus did not write.
  public var notes: AdapterNotes?
  /// What the adapter was trained for; nil if the folder does not say.
  public var task: AdapterTask?
  /// Whether the checkpoint keeps the adapted matrices with their axes exchanged, as GPT-2's does.
  var isTransposed = false

  /// Collects what a folder will hold.
  init(
    configuration: AdapterConfiguration, tensors: NamedTensors, baseModel: String?,
    notes: AdapterNotes?
  ) {
    self.configuration = configuration
    self.tensors = tensors
    self.baseModel = baseModel
    self.notes = notes
  }

  /// Reads a folder, written by Apus or by Python's PEFT.
  ///
  /// Fields of the configuration that Apus does not know are ignored, as PEFT does, but not the ones
  /// that would change what the adapter computes.
  ///
  /// - Throws: ``ApusError`` `.fileAccess` if a file is missing, `.invalidFile` if one is malformed,
  ///   `.unsupported` for another kind of adapter or for pickled tensors.
  public init(reading folder: URL) throws(ApusError) {
    let config = try JSONNode(contentsOf: folder.appendingPathComponent("adapter_config.json"))
    configuration = try AdapterConfiguration(peft: config)
    task = try AdapterTask(peft: config["task_type"])
    let isTransposed = config["fan_in_fan_out"]
    self.isTransposed = isTransposed.exists ? try isTransposed.bool() : false
    let name = config["base_model_name_or_path"]
    baseModel = name.exists ? try name.string() : nil
    let stored = try ShardedSafetensors(folder: folder, stem: "adapter_model")
    var tensors: [String: Tensor] = [:]
    for name in stored.names where !Self.isCopy(name) {
      tensors[name] = try stored.tensor(name)
    }
    self.tensors = NamedTensors(tensors)
    notes = try Self.notes(folder.appendingPathComponent("apus.json"))
    if let broken = self.tensors.firstNonFinite {
      throw ApusError(
        .nonFinite, at: "\(folder.path), \(broken)", "the tensor holds NaN or infinity",
        remedy: "Train the adapter again with a smaller learning rate")
    }
  }

  /// Classes of the head that the folder holds, the rows of its last layer; nil if it holds none.
  public var classCount: Int? {
    let layers = TrainedModules.headNames + TrainedModules.headNames.map { "\($0).out_proj" }
    let names = layers.map { "\(AdaptedModel.prefix)\($0).weight" }
    return names.lazy.compactMap { tensors[$0]?.shape.first }.first
  }

  /// PEFT with `bias="all"` stores a trained head's bias two times more, under names of its own.
  private static func isCopy(_ name: String) -> Bool {
    name.contains(".modules_to_save.") || name.contains(".original_module.")
  }

  private static func notes(_ file: URL) throws(ApusError) -> AdapterNotes? {
    guard FileManager.default.fileExists(atPath: file.path) else { return nil }
    do { return try JSONDecoder().decode(AdapterNotes.self, from: Data(contentsOf: file)) } catch {
      throw ApusError(
        .invalidFile, at: file.path, "the notes cannot be read",
        remedy: "Restore the file, or remove it and state pooling and labels", cause: error)
    }
  }

  /// Writes the folder; a reader sees all of it or nothing.
  ///
  /// - Throws: ``ApusError`` `.fileAccess` if it cannot be written or holds other files already.
  public func write(to folder: URL) throws(ApusError) {
    let tensors = tensors.map { $0 }
    let config = try Self.bytes {
      try configuration.peftBytes(
        baseModel: baseModel, task: task ?? .sequenceClassification, isTransposed: isTransposed)
    }
    let notes = try notes.map { (notes) throws(ApusError) in
      try Self.bytes {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return try encoder.encode(notes)
      }
    }
    try AtomicFolder.write(folder) { (draft) throws(ApusError) in
      try Safetensors.write(
        tensors, metadata: ["format": "pt"],
        to: draft.appendingPathComponent("adapter_model.safetensors"))
      try AtomicFolder.put(config, named: "adapter_config.json", into: draft)
      try AtomicFolder.put(Data(readme.utf8), named: "README.md", into: draft)
      if let notes { try AtomicFolder.put(notes, named: "apus.json", into: draft) }
    }
  }

  private static func bytes(_ make: () throws -> Data) throws(ApusError) -> Data {
    do { return try make() } catch {
      throw ApusError(
        .invalidConfig, at: "adapter_config.json", "a value cannot be written as JSON",
        remedy: "Use finite numbers", cause: error)
    }
  }

  /// The model card: front matter that the Hub reads, then how to open the adapter.
  private var readme: String {
    let base = baseModel.map { "base_model: \(YAMLText.quoted($0))\n" } ?? ""
    let task = task ?? .sequenceClassification
    let names = notes?.labels ?? []
    let labels = names.isEmpty ? "" : "Classes: \(names.joined(separator: ", ")).\n\n"
    let pooled = task == .sequenceClassification ? notes : nil
    let pooling = pooled.map { "Pooling: \($0.pooling).\n\n" } ?? ""
    let alpha = configuration.kind == .vera ? "" : ", alpha \(configuration.alpha)"
    return """
      ---
      \(base)library_name: peft
      pipeline_tag: \(task.opener.pipelineTag)
      tags:
      - \(configuration.kind.rawValue)
      - federated-learning
      - apus
      ---

      # \(configuration.kind.title) adapter

      Rank \(configuration.rank)\(alpha), trained with Apus.

      \(labels)\(pooling)Open it with `peft.\(task.opener.className)`, or with Apus.

      """
  }
}

extension AdaptedModel {
  /// Puts the adapter of a folder on a model.
  ///
  /// - Parameters:
  ///   - model: Frozen, without adapters, of the architecture that the adapter was trained on.
  ///   - folder: What was read.
  /// - Throws: ``ApusError`` `.silentFailure` if no target matches the model, `.checkpointMismatch`
  ///   for a missing or an unexpected tensor, `.shapeMismatch` for one of another shape.
  public convenience init(_ model: Module, _ folder: AdapterFolder) throws(ApusError) {
    try self.init(
      model, folder.configuration, random: RandomStream(seed: 0), strictly: false)
    do throws(ApusError) {
      try loadAll(folder.tensors)
    } catch {
      detach()
      throw error
    }
  }

  private func loadAll(_ tensors: NamedTensors) throws(ApusError) {
    let known = storedValues
    let needed = trainables.map(\.name) + adapters[0].shared.names
    let missing = needed.filter { tensors[$0] == nil }
    let unexpected = tensors.names.filter { known[$0] == nil }
    for (what, names) in [("misses", missing), ("has an unexpected", unexpected)] {
      guard let first = names.first else { continue }
      throw ApusError(
        .checkpointMismatch, at: "adapter_model.safetensors",
        "the adapter \(what) tensor \(first) (\(names.count) in all)",
        remedy: "Take both files of the adapter, and the base model, from one training")
    }
    let own = Dictionary(uniqueKeysWithValues: trainables.map { ($0.name, $0.leaf.shape) })
    for (name, tensor) in tensors {
      guard let shape = own[name], shape != tensor.shape else { continue }
      throw ApusError(  // the ranks of a folder are those of its configuration
        .shapeMismatch, at: name, "expected shape \(shape), got \(tensor.shape)",
        remedy: "Take both files of the adapter, and the base model, from one training")
    }
    try load(tensors.filtered { own[$0] != nil })
    try loadFrozen(tensors)
  }

  /// A set of adapters as it is now, ready to be written.
  ///
  /// With a base delta, one LoRA of higher rank that adds both.
  ///
  /// - Parameters:
  ///   - set: One of ``adapters``; nil for the standard one.
  ///   - baseModel: Hub name or folder of the checkpoint.
  ///   - notes: What PEFT has no place for.
  ///   - task: What the model was trained for.
  /// - Returns: Copies; later training does not change them.
  public func folder(
    of set: AdapterSet? = nil, baseModel: String?, notes: AdapterNotes,
    task: AdapterTask = .sequenceClassification
  ) -> AdapterFolder {
    let set = set ?? adapters[0]
    var folder: AdapterFolder
    if baseDelta.isEmpty {
      folder = AdapterFolder(
        configuration: set.storedConfiguration, tensors: storedValues(of: set),
        baseModel: baseModel, notes: notes)
    } else {
      let stacked = StackedLoRA(self, set)
      folder = AdapterFolder(
        configuration: stacked.configuration, tensors: stacked.tensors, baseModel: baseModel,
        notes: notes)
    }
    folder.task = task
    folder.isTransposed = isStoredTransposed
    return folder
  }
}
