public import ApusAdapters
public import ApusBase
public import ApusCore
public import ApusMethods
import ApusTorch
public import Foundation

/// Adapters that were trained elsewhere, combined by the very server half that a run uses.
public struct AdapterAggregation: Sendable {
  /// What the server would send: one LoRA, into whose factors a base delta went.
  public let folder: AdapterFolder
  /// What the server reports of the round, such as norms of what averaging missed.
  public let metrics: Metrics

  /// Combines PEFT folders in one round.
  ///
  /// Each client's own scaling is put into its B, so that folders of unlike alphas can be combined.
  ///
  /// - Parameters:
  ///   - folders: One for each client, of plain LoRA at the same sites.
  ///   - weights: w > 0 of each, such as its number of rows.
  ///   - method: Whose server combines them.
  /// - Throws: ``ApusError`` `.unsupported` if the method's server needs more than the updates,
  ///   `.shapeMismatch` if folders do not fit together, and what reading a folder throws.
  public init(
    _ folders: [URL], weights: [Double], method: MethodCatalog.Entry
  ) throws(ApusError) {
    guard !folders.isEmpty, folders.count == weights.count,
      weights.allSatisfy({ $0 > 0 && $0.isFinite })
    else {
      throw ApusError(
        .invalidConfig, at: "weights", "\(weights.count) weights for \(folders.count) folders",
        remedy: "Give one positive number for each folder")
    }
    guard method.hasGlobalModel else {
      throw ApusError(
        .unsupported, at: "method", "\(method.card.name) makes no model for all",
        remedy: "Use a method with a global model, such as fedex-lora")
    }
    var clients: [Client] = []
    for (folder, weight) in zip(folders, weights) {
      let adapter = try AdapterFolder(reading: folder)
      clients.append(
        Client(
          name: folder.lastPathComponent, weight: weight, adapter: adapter,
          pairs: try adapter.factorPairs))
    }
    (folder, metrics) = try Self.combined(clients, method)
  }

  /// One folder.
  private struct Client {
    let name: String
    let weight: Double
    let adapter: AdapterFolder
    let pairs: [FactorPair]

    var rank: Int { pairs.compactMap { adapter.tensors.rank(of: $0) }.max() ?? 0 }

    /// Its tensors with factors that mean the same under other scalings.
    func tensors(under scalings: [String: Double]) -> NamedTensors {
      var tensors = adapter.tensors
      for pair in pairs {
        guard let scaling = scalings[pair.site], scaling != pair.scaling else { continue }
        tensors[pair.b] = tensors[pair.b].map { $0 * (pair.scaling / scaling) }
      }
      return tensors
    }
  }

  private static func combined(
    _ clients: [Client], _ method: MethodCatalog.Entry
  ) throws(ApusError) -> (folder: AdapterFolder, metrics: Metrics) {
    // The highest rank is the model's; a client's factors may have less.
    let reference = clients.dropFirst().reduce(clients[0]) { $1.rank > $0.rank ? $1 : $0 }
    var initial = reference.adapter.tensors
    for pair in reference.pairs { initial[pair.b] = initial[pair.b]?.zerosLike }
    let setting = ServerSetting(
      initial: initial, factorPairs: reference.pairs, aggregation: Aggregation())
    do {
      var server = try method.make(options(of: method)).server(setting)
      let round = Round(index: 0, total: 1, root: RandomStream(seed: 0))
      for (index, client) in clients.enumerated() {
        let id = ClientID(index: index, name: client.name)
        let brief = try server.brief(for: id, round: round)
        // The method's own scaling for this rank is that of the reference, unless it is alpha / r.
        var scalings = Dictionary(
          uniqueKeysWithValues: reference.pairs.map { ($0.site, $0.scaling) })
        if method.scalesByRank {
          scalings = client.adapter.tensors.scalings(of: reference.pairs, configured: initial)
        }
        var update = Message(tensors: client.tensors(under: scalings), sampleCount: 1)
        update.fields["base_version"] = brief.fields["base_version"]
        try server.absorb(update, from: id, weight: client.weight, round: round)
      }
      let metrics = try server.finish(round: round)
      try Tensor.check("aggregation")
      return (reference.adapter.holding(server.global, reference.pairs), metrics)
    } catch {
      let cause = (error as? ApusError)?.problem ?? "\(error)"
      throw ApusError(
        .unsupported, at: "method \(method.card.id)",
        "these adapters cannot be combined: \(cause)",
        remedy: "Check that they are of one model, or use a method that needs the updates alone",
        cause: error)
    }
  }

  /// A method's defaults, where ranks are those of the folders.
  private static func options(of method: MethodCatalog.Entry) -> any MethodOptions {
    guard var options = method.defaultOptions as? HetLoRA.Options else {
      return method.defaultOptions
    }
    options.ranks.rule = .equal
    return options
  }
}
