public import ApusBase
public import ApusCore

/// All methods, in one list: the command, the documentation and the laws' tests walk over it.
public enum MethodCatalog {
  /// A method without its type.
  public struct Entry: Sendable, CustomStringConvertible {
    /// Name, source and properties.
    public let card: MethodCard
    /// Local training unless an experiment says otherwise.
    public let localTraining: LocalTraining
    /// Weighting and server rule unless an experiment says otherwise.
    public let aggregation: Aggregation
    /// Whether all rows are brought to one place.
    public let poolsData: Bool
    /// Whether there is one model for all, to be measured and exported.
    public let hasGlobalModel: Bool
    /// Whether each client uses a model of its own, to be measured on its own rows.
    public let hasPersonalModels: Bool
    /// Whether adapters of every kind can be trained, not LoRA alone.
    public let takesAnyAdapter: Bool
    /// Whether a client's scaling is alpha / r of its own rank, rather than one for all ranks.
    public let scalesByRank: Bool
    /// Whether its server can combine adapters that were trained without a run around them.
    public let combination: AdapterCombination
    /// The method's own options with their defaults.
    public let defaultOptions: any MethodOptions
    /// Where the method is written, from the package's root.
    public let path: String
    private let build: @Sendable (any MethodOptions) -> (any FederatedMethod)?

    init<Method: FederatedMethod>(_ method: Method.Type, folder: String) {
      card = method.card
      localTraining = method.localTraining
      aggregation = method.aggregation
      poolsData = method.poolsData
      hasGlobalModel = method.hasGlobalModel
      hasPersonalModels = method.hasPersonalModels
      takesAnyAdapter = method.takesAnyAdapter
      scalesByRank = method.scalesByRank
      combination = method.combination
      defaultOptions = Method.Options()
      path = "Sources/ApusMethods/\(folder)/\(Method.self).swift"
      build = { options in (options as? Method.Options).map { Method($0) } }
    }

    /// The method with options of its own type.
    ///
    /// - Throws: ``ApusError`` `.invalidConfig` if the options are another method's.
    public func make(_ options: any MethodOptions) throws(ApusError) -> any FederatedMethod {
      guard let method = build(options) else {
        throw ApusError(
          .invalidConfig, at: "method", "these are not the options of \(card.name)",
          remedy: "Start from the entry's default options")
      }
      return method
    }

    public var description: String { card.id }
  }

  /// Every method.
  public static let all: [Entry] = [
    Entry(FedIT.self, folder: "Reparameterized"),
    Entry(FFALoRA.self, folder: "Reparameterized"),
    Entry(RoLoRA.self, folder: "Reparameterized"),
    Entry(FedSALoRA.self, folder: "Reparameterized"),
    Entry(LoRAA2.self, folder: "Reparameterized"),
    Entry(PFedLoRA.self, folder: "Reparameterized"),
    Entry(PF2LoRA.self, folder: "Reparameterized"),
    Entry(FedP2EFT.self, folder: "Reparameterized"),
    Entry(FedDPA.self, folder: "Reparameterized"),
    Entry(FedALT.self, folder: "Reparameterized"),
    Entry(FedOA.self, folder: "Reparameterized"),
    Entry(LoRAFAIR.self, folder: "Reparameterized"),
    Entry(FRLoRA.self, folder: "Reparameterized"),
    Entry(SLoRA.self, folder: "Reparameterized"),
    Entry(LEGEND.self, folder: "Reparameterized"),
    Entry(HetLoRA.self, folder: "Reparameterized"),
    Entry(FlexLoRA.self, folder: "Reparameterized"),
    Entry(FedExLoRA.self, folder: "Reparameterized"),
    Entry(FLoRA.self, folder: "Reparameterized"),
    Entry(FedBiOT.self, folder: "Reparameterized"),
    Entry(Local.self, folder: "Reference"),
    Entry(Centralised.self, folder: "Reference"),
  ]

  /// The method of this id.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` with a suggestion if there is none.
  public static func entry(_ id: String) throws(ApusError) -> Entry {
    guard let entry = all.first(where: { $0.card.id == id.lowercased() }) else {
      throw ApusError(
        .invalidConfig, at: "method", "there is no method \"\(id)\"",
        remedy: Spelling.remedy(for: id, allowed: all.map(\.card.id)))
    }
    return entry
  }
}
