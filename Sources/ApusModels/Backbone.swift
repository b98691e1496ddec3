public import ApusBase
public import ApusCore
public import ApusTorch
internal import Foundation

/// A checkpoint's frozen weights in memory: read once, shared by every model made of them.
public struct Backbone: Sendable {
  /// Where the weights come from.
  public let checkpoint: Checkpoint
  /// The dtype of weights and activations.
  public let precision: Precision
  /// Where the weights are.
  public let device: Device
  /// How the projections are kept.
  public let quantization: Quantization
  /// The weights by key, all with the architecture's prefix; heads and packed matrices are left out.
  public let weights: NamedTensors
  /// The packed matrices by key.
  let packed: [String: any PackedMatrix]
  /// The sequence head of the checkpoint in float32, if it has one.
  let head: NamedTensors
  /// The output layer of a language model in the dtype of the weights, if it is stored.
  let languageHead: NamedTensors

  /// Reads the weights of a checkpoint.
  ///
  /// Weights that are stored in the wanted dtype stay views of the file, so that all processes of
  /// a machine share them.
  ///
  /// - Parameters:
  ///   - checkpoint: The folder.
  ///   - precision: The dtype to compute in, whatever the file is in.
  ///   - device: Where to compute.
  ///   - quantization: How the projections are kept; heads, norms and tables stay as they are.
  /// - Throws: ``ApusError`` `.invalidFile` or `.tensorOperation` if a tensor cannot be read.
  public init(
    _ checkpoint: Checkpoint, precision: Precision = .float32, device: Device = .cpu,
    quantization: Quantization = .none
  ) throws(ApusError) {
    self.checkpoint = checkpoint
    self.precision = precision
    self.device = device
    self.quantization = quantization
    let projections =
      quantization == .none ? [:] : try Self.projections(of: checkpoint)
    var packed: [String: any PackedMatrix] = [:]
    let method = checkpoint.config["quantization_config"]["quant_method"]
    try method.require("bitsandbytes")
    // A mapping of its own: it ends here, with the pages that were read, unless a weight stays a view.
    let file = try ShardedSafetensors(folder: checkpoint.folder)
    let bytes = BitsAndBytes(file, dtype: precision.dtype, device: device)
    let names = KeyNaming(checkpoint.architecture, stored: file.names)
    var weights: [String: Tensor] = [:]
    var head: [String: Tensor] = [:]
    var languageHead: [String: Tensor] = [:]
    for stored in file.names where !bytes.isAuxiliary(stored) {
      switch names.place(of: stored) {
      case .encoder(let key):
        if let matrix = try bytes.matrix(stored) {
          packed[key] = matrix
          continue
        }
        let tensor = try file.tensor(stored).to(precision.dtype, device: device)
        if let parameter = projections[key], tensor.shape == parameter.storedShape {
          parameter.stored = tensor
          packed[key] = quantization.packed(parameter.value)
          parameter.value = Tensor.empty([0])
        } else {
          weights[key] = tensor
        }
      case .head(let key):
        guard checkpoint.hasSequenceHead else { continue }
        head[key] = try file.tensor(stored).cloned().to(.float32, device: device)
      case .languageHead:
        guard checkpoint.architecture.writesText else { continue }
        let tensor = try file.tensor(stored)
        languageHead[stored] = tensor.to(precision.dtype, device: device)
      case .elsewhere: continue
      }
    }
    try Tensor.check(checkpoint.folder.path)
    self.languageHead = NamedTensors(languageHead)
    self.packed = packed
    self.weights = NamedTensors(weights)
    self.head = NamedTensors(head)
  }

  /// Makes a classifier over the shared weights; only its head is its own.
  ///
  /// - Parameters:
  ///   - labels: Number of classes C ≥ 1.
  ///   - pooling: How tokens become one vector.
  ///   - random: Draws the head, unless the checkpoint has one for as many classes.
  /// - Returns: The model, frozen.
  /// - Throws: ``ApusError`` `.invalidFile` or `.unsupported` for `config.json`, `.invalidConfig` for
  ///   the number of classes, `.checkpointMismatch` or `.shapeMismatch` if the weights are not what
  ///   it promises.
  public func makeClassifier(
    labels: Int, pooling: Pooling, random: RandomStream
  ) throws(ApusError) -> TextClassifier {
    guard labels >= 1 else {
      throw ApusError(
        .invalidConfig, at: "labels", "\(labels) classes cannot be told apart",
        remedy: "Give the number of classes in the data")
    }
    let model = try TextClassifier(
      checkpoint.architecture, checkpoint.config, labels: labels, pooling: pooling)
    let prefix = "\(checkpoint.architecture.prefix)."
    let ignored = checkpoint.architecture.optionalParts.map { prefix + $0 }
    try model.load(
      weights, file: checkpoint.folder.path,
      ignoring: { key in ignored.contains(where: key.hasPrefix) },
      optional: { !$0.hasPrefix(prefix) || packed[$0] != nil })
    try keepPacked(in: model)
    try model.setHead(head, random: random, device: device)
    return model
  }

  /// Makes a model of the next token over the shared weights.
  ///
  /// - Returns: The model, frozen.
  /// - Throws: ``ApusError`` `.unsupported` for an architecture whose tokens see later ones,
  ///   `.invalidFile` for `config.json`, `.checkpointMismatch` or `.shapeMismatch` if the weights are
  ///   not what it promises.
  public func makeLanguageModel() throws(ApusError) -> CausalLanguageModel {
    let model = try CausalLanguageModel(checkpoint.architecture, checkpoint.config)
    let stored = model.lm_head == nil ? weights : weights.merging(languageHead)
    try model.load(stored, file: checkpoint.folder.path, optional: { packed[$0] != nil })
    try keepPacked(in: model)
    return model
  }

  /// Makes a model that writes a text beside a source, over the shared weights.
  ///
  /// The output layer is that of the file if there is one, or else the table of the vocabulary.
  ///
  /// - Returns: The model, frozen.
  /// - Throws: ``ApusError`` `.unsupported` for an architecture without both halves, `.invalidFile`
  ///   for `config.json`, `.checkpointMismatch` or `.shapeMismatch` if the weights are not what it
  ///   promises.
  public func makeSequenceToSequenceModel() throws(ApusError) -> SequenceToSequenceModel {
    let architecture = checkpoint.architecture
    let model = try SequenceToSequenceModel(
      architecture, checkpoint.config, hasOutput: languageHead["lm_head.weight"] != nil,
      hasBias: languageHead["final_logits_bias"] != nil)
    // Files may keep the one table of the vocabulary under any of its names.
    let prefix = architecture.prefix.isEmpty ? "" : "\(architecture.prefix)."
    let (shared, copies) = (
      prefix + "shared.weight",
      ["encoder", "decoder"].map { "\(prefix)\($0).embed_tokens.weight" }
    )
    var stored = weights.merging(languageHead)
    if stored[shared] == nil, let table = copies.lazy.compactMap({ weights[$0] }).first {
      stored = stored.merging(NamedTensors([shared: table]))
    }
    let unused = ".layer.1.EncDecAttention.relative_attention_bias.weight"
    try model.load(
      stored, file: checkpoint.folder.path,
      ignoring: { copies.contains($0) || $0.hasSuffix(unused) },
      optional: { packed[$0] != nil })
    try keepPacked(in: model)
    return model
  }

  /// Number of weights, packed ones included.
  public var elementCount: Int {
    weights.elementCount + packed.values.reduce(0) { $0 + $1.shape.reduce(1, *) }
  }

  /// Bytes of the weights as they are kept.
  public var byteCount: Int {
    weights.reduce(0) { $0 + $1.tensor.byteCount } + packed.values.reduce(0) { $0 + $1.byteCount }
  }

  /// Whether a matrix is kept in fewer bits.
  func isPacked(_ key: String) -> Bool { packed[key] != nil }

  /// Gives the projections of a model the matrices that are kept in fewer bits.
  ///
  /// - Throws: ``ApusError`` `.shapeMismatch` for a matrix of another shape.
  func keepPacked(in model: Module) throws(ApusError) {
    guard !packed.isEmpty else { return }
    for (key, parameter) in model.parameters {
      guard let matrix = packed[key] else { continue }
      guard matrix.shape == parameter.shape else {
        throw ApusError(
          .shapeMismatch, at: "\(checkpoint.folder.path), \(key)",
          "config.json promises shape \(parameter.shape), the packed matrix has \(matrix.shape)",
          remedy: "Take config.json and weights from one revision of one checkpoint")
      }
      parameter.keep(matrix)
    }
  }

  /// The matrices of all projections, by key; they hold nothing.
  private static func projections(
    of checkpoint: Checkpoint
  ) throws(ApusError) -> [String: Parameter] {
    let (architecture, config) = (checkpoint.architecture, checkpoint.config)
    let module: Module =
      if let make = architecture.makeEncoderDecoder {
        try make(config)
      } else {
        try architecture.makeEncoder(config, true)
      }
    let prefix = architecture.prefix.isEmpty ? "" : "\(architecture.prefix)."
    var found: [String: Parameter] = [:]
    module.walk { path, module in
      guard let site = module as? ProjectionSite else { return }
      found["\(prefix)\(path).weight"] = site.base.weight
    }
    return found
  }
}

/// Where the tensors of a checkpoint belong, whatever class of transformers wrote it.
private struct KeyNaming {
  enum Place {
    case encoder(String)
    /// Beside the encoder: a head, of this task or of another.
    case head(String)
    /// The output layer over the vocabulary of a decoder.
    case languageHead
    /// Tables that are computed.
    case elsewhere
  }

  private let prefix: String
  private let isPrefixed: Bool
  private let computed: [String]

  /// Beginnings of heads that may stand beside an encoder without prefix.
  private static let heads = ["classifier.", "cls.", "qa_outputs.", "score."]

  init(_ architecture: ModelCatalog.Architecture, stored names: [String]) {
    let prefix = architecture.prefix.isEmpty ? "" : "\(architecture.prefix)."
    self.prefix = prefix
    isPrefixed = names.contains { $0.hasPrefix(prefix) }
    computed = architecture.computedTables
  }

  func place(of stored: String) -> Place {
    if computed.contains(where: stored.hasSuffix) { return .elsewhere }
    if stored.hasPrefix("lm_head.") || stored == "final_logits_bias" { return .languageHead }
    let isHead =
      isPrefixed ? !stored.hasPrefix(prefix) : Self.heads.contains(where: stored.hasPrefix)
    if isHead { return .head(stored) }
    return .encoder(modern(isPrefixed ? stored : prefix + stored))
  }

  /// The names that TensorFlow's conversions gave to scale and shift of a norm, as they are now.
  private func modern(_ key: String) -> String {
    for (old, new) in [(".gamma", ".weight"), (".beta", ".bias")] where key.hasSuffix(old) {
      return key.dropLast(old.count) + new
    }
    return key
  }
}
