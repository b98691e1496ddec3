/// What a method is, for lists and documentation; written once, in the method's file.
public struct MethodCard: Sendable {
  /// The three families of parameter-efficient fine-tuning, and the reference points.
  public enum Family: String, Sendable, CaseIterable, Codable {
    /// New modules or tokens beside frozen weights.
    case additive
    /// A part of the backbone's own weights.
    case selective
    /// Low-rank and similar parameterizations of a weight's change.
    case reparameterized
    /// What every comparison needs, and no method of its own.
    case reference
  }

  /// What the server must see of the updates.
  public enum Visibility: String, Sendable, Codable {
    /// Only Σ wₖ·updateₖ: secure aggregation and central privacy apply unchanged.
    ///
    /// A report of the aggregation bias takes each update; methods that make one can leave it out.
    case weightedSum = "weighted sum"
    /// Each update by itself.
    case eachUpdate = "each update"
    /// Nothing is sent.
    case nothing = "nothing"
  }

  /// The name as the paper writes it.
  public let name: String
  /// The name on the command line, such as `fedex-lora`.
  public let id: String
  /// Its family.
  public let family: Family
  /// One sentence.
  public let summary: String
  /// The challenges that it addresses, such as "data heterogeneity".
  public let challenges: [String]
  /// Where it was published.
  public let paper: String
  /// What leaves a client in each round.
  public let leavesClient: String
  /// What the server must see.
  public let visibility: Visibility

  /// Whether secure aggregation, and with it homomorphic encryption, applies to it unchanged; nil
  /// where nothing is sent that could be hidden.
  public var allowsSecureAggregation: Bool? {
    switch visibility {
    case .weightedSum: true
    case .eachUpdate: false
    case .nothing: nil
    }
  }

  /// Describes a method.
  public init(
    name: String, id: String, family: Family, summary: String, challenges: [String] = [],
    paper: String, leavesClient: String, visibility: Visibility
  ) {
    self.name = name
    self.id = id
    self.family = family
    self.summary = summary
    self.challenges = challenges
    self.paper = paper
    self.leavesClient = leavesClient
    self.visibility = visibility
  }
}
