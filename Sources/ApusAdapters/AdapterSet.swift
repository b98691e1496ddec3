internal import ApusBase
public import ApusCore
public import ApusTorch

/// Adapters of one name, one at each chosen projection of a model.
///
/// A model may have several sets, such as a common one and a client's own; each acts at its sites
/// under its name, with a dropout stream of its own. Tensors of the set `default` have the names of
/// Hugging Face files; those of another set have its name and "/" before them.
public final class AdapterSet {
  /// One adapter and where it acts.
  public struct Member {
    /// Module path of the projection.
    public let path: String
    /// The projection.
    public let site: ProjectionSite
    /// What is trained there.
    public let adapter: any Parameterization
    /// Its rank at the start.
    let rank: Int
  }

  /// The name under which the adapters act.
  public let name: String
  /// Where, and with which ranks at the start.
  public let configuration: AdapterConfiguration
  /// The adapters, in the order of the model's projections.
  public let members: [Member]

  /// The set that a model has from the start.
  public static let standardName = "default"

  /// Fresh adapters, not attached yet; every start value comes from the substream of its path.
  init(
    named name: String, _ configuration: AdapterConfiguration, at choices: [SiteSelection.Choice],
    random: RandomStream
  ) {
    self.name = name
    self.configuration = configuration
    members = zip(choices, configuration.makeAdapters(at: choices, random: random)).map {
      Member(path: $0.path, site: $0.site, adapter: $1, rank: $0.rank)
    }
  }

  /// What stands before the names of Hugging Face files.
  var prefix: String { name == Self.standardName ? "" : "\(name)/" }

  /// Every tensor that trains: its name and the leaf.
  public var trainables: [(name: String, leaf: Tensor)] {
    members.flatMap { member in
      member.adapter.leaves.map { (tensorName(member, $0.suffix), $0.tensor) }
    }
  }

  /// The frozen tensors that files of the set hold, by their names there.
  var shared: NamedTensors {
    let all = members.flatMap { $0.adapter.shared.map { ($0.name, $0.tensor) } }
    return NamedTensors(Dictionary(all) { first, _ in first })
  }

  /// The factors, site by site, of adapters that are products.
  public var factorPairs: [FactorPair] {
    members.compactMap { member in
      member.adapter.factors.map {
        FactorPair(
          site: member.path, a: tensorName(member, $0.a), b: tensorName(member, $0.b),
          scaling: $0.scaling)
      }
    }
  }

  /// The trainables of the adapters that satisfy a condition, by name.
  func names(where isMeant: (any Parameterization) -> Bool) -> [String] {
    members.filter { isMeant($0.adapter) }.flatMap { member in
      member.adapter.leaves.map { tensorName(member, $0.suffix) }
    }
  }

  /// The tensors that files of the set hold, by their names there.
  var stored: NamedTensors {
    var tensors = shared
    for member in members {
      for (suffix, tensor) in member.adapter.stored {
        tensors["\(AdaptedModel.prefix)\(member.path).\(suffix)"] = tensor
      }
    }
    return tensors
  }

  /// The configuration that belongs to ``stored``, with the ranks of now.
  var storedConfiguration: AdapterConfiguration {
    var stated = configuration.kind == .dylora ? configuration.asLoRA : configuration
    let ranks = members.map { ($0.path, $0.adapter.storedRank, $0.adapter.scaling) }
    guard zip(members, ranks).contains(where: { $0.rank != $1.1 }) else { return stated }
    guard configuration.kind == .adalora else { return stated.stating(ranks) }
    stated.rankPattern = [:]  // and the scaling stays that of the initial rank
    for (path, rank, _) in ranks where rank != stated.startRank { stated.rankPattern[path] = rank }
    return stated
  }

  func tensorName(_ member: Member, _ suffix: String) -> String {
    "\(prefix)\(AdaptedModel.prefix)\(member.path).\(suffix)"
  }

  /// Lets the adapters act, after those that do already.
  func attach() {
    for member in members { member.site.attach(member.adapter, named: name) }
  }

  /// Takes the adapters away from their sites; they keep their values.
  func detach() {
    for member in members { member.site.detach(named: name) }
  }

  /// The adapters whose rank these tensors would change, and to what.
  ///
  /// A rank changes only where all tensors of an adapter are given and agree on it.
  func resizings(for values: NamedTensors) -> [(adapter: any Parameterization, rank: Int)] {
    members.compactMap { member in
      let leaves = member.adapter.leaves
      let shapes = leaves.compactMap { values[tensorName(member, $0.suffix)]?.shape }
      guard shapes.count == leaves.count, shapes != leaves.map(\.tensor.shape) else { return nil }
      return member.adapter.rank(ofShapes: shapes).map { (member.adapter, $0) }
    }
  }
}
