public import ApusBase

/// What a method needs of the model beside the adapter that the experiment configures.
///
/// All of it trains, and is named among the trainables, so that what is shared, what is personal
/// and what is frozen is told by names alone.
public struct ModelExtension: Sendable {
  /// Further adapters at the same sites, of the standard adapter's kind.
  public var adapters: [NamedAdapter] = []
  /// Whether each site weighs its adapters by its input.
  public var hasGate = false
  /// Whether each rank of the standard adapter has a factor of its own: s·B·diag(λ)·A.
  public var hasDiagonal = false
  /// Entries of the adapted weights that are tuned in place.
  public var sparse: SparsePlan?
  /// A small classifier beside the model.
  public var companion: Companion?
  /// The cut of the model whose last blocks the standard adapter has to itself; the lower ones get
  /// adapters of their own, named ``EmulatorPlan/adapterName``.
  public var emulator: EmulatorPlan?
  /// Tensors that the method itself computes with, made to measure.
  public var own: (@Sendable (ModelFacts, RandomStream) -> NamedTensors)?

  /// Nothing.
  public init() {}

  /// A further adapter.
  public struct NamedAdapter: Sendable, Equatable {
    /// Its name, which shows in its tensors' names.
    public var name: String
    /// Its rank; nil for that of the standard adapter.
    public var rank: Int?

    /// Names an adapter.
    public init(_ name: String, rank: Int? = nil) {
      self.name = name
      self.rank = rank
    }
  }

  /// A classifier of its own over the tokens: embeddings, mean, two thin layers.
  public struct Companion: Sendable, Equatable {
    /// Where what it computes joins the model's.
    public enum Output: String, Sendable, Codable, CaseIterable {
      /// Scores of the classes.
      case scores
      /// What the model's last layer sees.
      case features
    }

    /// What it gives.
    public var output: Output
    /// Length of its embeddings.
    public var width: Int
    /// Its inner dimension r.
    public var rank: Int

    /// Describes a companion.
    public init(output: Output, width: Int, rank: Int) {
      self.output = output
      self.width = width
      self.rank = rank
    }
  }

  /// Names of all adapters, the standard one first.
  public var adapterNames: [String] {
    [AdapterName.standard] + adapters.map(\.name)
      + (emulator == nil ? [] : [EmulatorPlan.adapterName])
  }

  /// The standard adapter alone: the model that is measured and exported as global.
  public var resting: AdapterMixture { .only(AdapterName.standard, of: adapterNames) }

  /// What the names of a companion's tensors begin with.
  public static let companionPrefix = "companion."

  /// Name of the gate at the site whose factor A has this name.
  public static func gate(besideA name: String) -> String {
    name.replacing("lora_A", with: "adapter_gate")
  }

  /// Name of the ranks' factors at the site whose factor A has this name.
  public static func diagonal(besideA name: String) -> String {
    name.replacing("lora_A", with: "lora_diagonal")
  }
}

/// What the shape of a method's own tensors can depend on.
public struct ModelFacts: Sendable {
  /// Names of the frozen layers whose inputs are seen, in order.
  public var layers: [String]
  /// The factors of the standard adapter.
  public var factorPairs: [FactorPair]
  /// Rank of each pair.
  public var ranks: [Int]

  /// Collects the facts.
  public init(layers: [String], factorPairs: [FactorPair], ranks: [Int]) {
    self.layers = layers
    self.factorPairs = factorPairs
    self.ranks = ranks
  }
}
