public import ApusAdapters
public import ApusBase
public import ApusCore
public import ApusMethods
import ApusModels
import ApusTorch
public import Foundation

/// Adapters that were trained elsewhere, combined by the very server half that a run uses.
public struct AdapterAggregation: Sendable {
  /// What the server would send: one LoRA, into whose factors a base delta went.
  public let folder: AdapterFolder
  /// Norms of what was combined, and what the server reports of the round.
  ///
  /// `ideal_norm` is ‖Σ pₖ·sₖBₖAₖ‖ over all sites, `written_norm` that of what is written, and
  /// `missed_norm` that of their difference.
  public let metrics: Metrics
  /// The base model, if one was given.
  private let backbone: Backbone?

  /// Combines PEFT folders in one round.
  ///
  /// Each client's own scaling is put into its B, so that folders of unlike alphas can be combined.
  ///
  /// - Parameters:
  ///   - folders: One for each client, of plain LoRA at the same sites.
  ///   - weights: w > 0 of each, such as its number of rows.
  ///   - method: Whose server combines them.
  ///   - base: Folder of the checkpoint that they were trained on, for methods that look at its
  ///     weights and for merging; nil to do without.
  /// - Throws: ``ApusError`` `.unsupported` if the method's server needs more than the updates,
  ///   `.shapeMismatch` if folders do not fit together or to the base, and what reading throws.
  public init(
    _ folders: [URL], weights: [Double], method: MethodCatalog.Entry, base: URL? = nil
  ) throws(ApusError) {
    guard !folders.isEmpty, folders.count == weights.count else {
      throw ApusError(
        .invalidConfig, at: "weights", "\(weights.count) weights for \(folders.count) folders",
        remedy: "Give one positive number for each folder")
    }
    if let wrong = weights.first(where: { !($0 > 0 && $0.isFinite) }) {
      throw ApusError(
        .invalidConfig, at: "weights", "\(wrong) is no weight",
        remedy: "Give one positive number for each folder")
    }
    if case .impossible(let reason) = method.combination {
      throw ApusError(
        .unsupported, at: "method \(method.card.id)",
        "\(method.card.name) cannot combine adapters without a run: \(reason)",
        remedy: "Use one of \(Self.methods.joined(separator: ", "))")
    }
    var clients: [TrainedElsewhere] = []
    for (folder, weight) in zip(folders, weights) {
      clients.append(try TrainedElsewhere(folder, weight: weight))
    }
    backbone = try base.map { (folder) throws(ApusError) in try Backbone(Checkpoint(folder: folder))
    }
    (folder, metrics) = try Self.combined(clients, method, on: backbone)
  }

  /// Ids of the methods whose servers can.
  public static var methods: [String] {
    MethodCatalog.all.filter {
      if case .impossible = $0.combination { false } else { true }
    }.map(\.card.id)
  }

  /// Writes the base model with the combined adapter added to its weights, as a checkpoint folder.
  ///
  /// - Parameter folder: Made, or replaced if it holds a checkpoint.
  /// - Throws: ``ApusError`` `.invalidConfig` if no base model was given, `.fileAccess` if the folder
  ///   cannot be written.
  public func writeMerged(to folder: URL) throws(ApusError) {
    guard let backbone else {
      throw ApusError(
        .invalidConfig, at: "base", "there are no weights to add the adapter to",
        remedy: "Give the folder of the checkpoint that the adapters were trained on")
    }
    try AdaptedCheckpoint(self.folder, on: backbone).writeMerged(to: folder)
  }

  private static func combined(
    _ clients: [TrainedElsewhere], _ method: MethodCatalog.Entry, on backbone: Backbone?
  ) throws(ApusError) -> (folder: AdapterFolder, metrics: Metrics) {
    // The highest rank is the model's; a client's factors may have less.
    let reference = clients.dropFirst().reduce(clients[0]) { $1.rank > $0.rank ? $1 : $0 }
    let weights = try backbone.map { (backbone) throws(ApusError) in
      do throws(ApusError) {
        return try AdaptedCheckpoint(reference.adapter, on: backbone).adapted.frozenWeights
      } catch {
        throw ApusError(
          error.code, at: "\(reference.name), \(error.location)", error.problem,
          remedy: "Give the checkpoint that the adapters were trained on", cause: error)
      }
    }
    for client in clients { try client.requireSites(of: reference, weights) }
    let turn = try AdapterTurn(of: clients, method)
    let setting = ServerSetting(
      initial: turn.initial(reference), factorPairs: reference.pairs, aggregation: Aggregation(),
      weights: weights ?? NamedTensors())
    var place = "method \(method.card.id)"
    do {
      let hasHead = !reference.head.isEmpty
      var server = try method.make(options(of: method, hasHead: hasHead)).server(setting)
      let round = Round(index: turn.index, total: turn.index + 1, root: RandomStream(seed: 0))
      for (index, client) in clients.enumerated() {
        let id = ClientID(index: index, name: client.name)
        place = "method \(method.card.id), \(client.name)"
        let brief = try server.brief(for: id, round: round)
        // The method's own scaling for this rank is that of the reference, unless it is alpha / r.
        var scalings = Dictionary(
          uniqueKeysWithValues: reference.pairs.map { ($0.site, $0.scaling) })
        if method.scalesByRank {
          scalings = client.adapter.tensors.scalings(
            of: reference.pairs, configured: setting.initial)
        }
        var update = Message(
          tensors: client.tensors(under: scalings).filtered(turn.sent), sampleCount: 1)
        update.fields["base_version"] = brief.fields["base_version"]
        try server.absorb(update, from: id, weight: client.weight, round: round)
      }
      place = "method \(method.card.id)"
      var metrics = try server.finish(round: round)
      let folder = reference.adapter.holding(server.global, reference.pairs)
      metrics.merge(try clients.norms(beside: folder)) { $1 }
      try Tensor.check("aggregation")
      return (folder, metrics)
    } catch {
      let known = error as? ApusError
      throw ApusError(
        known?.code ?? .unsupported,
        at: [place, known?.location].compactMap(\.self).joined(separator: ", "),
        "these adapters cannot be combined: \(known?.problem ?? "\(error)")",
        remedy: known?.remedy ?? "Check that they are of one model", cause: error)
    }
  }

  /// A method's defaults, where ranks are those of the folders and a head is averaged if they have
  /// one.
  private static func options(
    of method: MethodCatalog.Entry, hasHead: Bool
  ) -> any MethodOptions {
    switch method.defaultOptions {
    case var options as HetLoRA.Options:
      options.ranks.rule = .equal
      return options
    case var options as FFALoRA.Options:
      options.trainsHead = hasHead
      return options
    case var options as RoLoRA.Options:
      options.trainsHead = hasHead
      return options
    default: return method.defaultOptions
    }
  }
}
