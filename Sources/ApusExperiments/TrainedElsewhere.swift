import ApusAdapters
import ApusBase
import ApusCore
import ApusMethods
import ApusTorch
import Foundation

/// One adapter that no run of Apus made, as a client of one round.
struct TrainedElsewhere {
  let name: String
  let weight: Double
  let adapter: AdapterFolder
  let pairs: [FactorPair]

  /// Reads a PEFT folder; whatever its dtype, all that is made of it is made in float32.
  init(_ folder: URL, weight: Double) throws(ApusError) {
    // As it was given: folders of several runs may all end in "adapter".
    (name, self.weight) = (folder.relativePath, weight)
    var adapter = try AdapterFolder(reading: folder)
    adapter.tensors = adapter.tensors.mapValues {
      $0.dtype.isFloatingPoint ? $0.to(.float32) : $0
    }
    pairs = try adapter.factorPairs
    self.adapter = adapter
  }

  /// The highest rank of its factors.
  var rank: Int { pairs.compactMap { adapter.tensors.rank(of: $0) }.max() ?? 0 }

  /// What it holds beside factors.
  var head: NamedTensors { adapter.tensors.withoutFactors(of: pairs) }

  /// Its tensors with factors that mean the same under other scalings.
  func tensors(under scalings: [String: Double]) -> NamedTensors {
    var tensors = adapter.tensors
    for pair in pairs {
      guard let scaling = scalings[pair.site], scaling != pair.scaling else { continue }
      tensors[pair.b] = tensors[pair.b].map { $0 * (pair.scaling / scaling) }
    }
    return tensors
  }

  /// Refuses an adapter with other sites than another one, or of another model.
  ///
  /// - Parameters:
  ///   - reference: The other one.
  ///   - weights: Frozen weights [d_out, d_in] by site; nil if no base model was given.
  /// - Throws: ``ApusError`` `.shapeMismatch` that names the folder and the site.
  func requireSites(
    of reference: TrainedElsewhere, _ weights: NamedTensors?
  ) throws(ApusError) {
    let (own, others) = (Set(pairs.map(\.site)), Set(reference.pairs.map(\.site)))
    if let site = own.symmetricDifference(others).min() {
      throw ApusError(
        .shapeMismatch, at: "\(name), \(site)",
        "only one of \(name) and \(reference.name) has an adapter there",
        remedy: "Combine adapters of the same targets")
    }
    for pair in pairs {
      guard let a = adapter.tensors[pair.a], let b = adapter.tensors[pair.b] else { continue }
      let shape = [b.size(0), a.size(1)]
      guard let weight = weights?[pair.site], weight.shape != shape else { continue }
      throw ApusError(
        .shapeMismatch, at: "\(name), \(pair.site)",
        "the adapter is for a weight of shape \(shape), the base model has \(weight.shape)",
        remedy: "Give the checkpoint that the adapters were trained on")
    }
  }
}

/// Which part of the adapters a round of one method takes, and in which round it does.
struct AdapterTurn {
  /// The round's index.
  let index: Int
  /// What clients send.
  let sent: TensorRoles
  private let common: TensorRoles

  /// The first round that takes what these adapters differ in.
  ///
  /// - Throws: ``ApusError`` `.unsupported` if the method averages one factor and the other one is
  ///   not the same in all.
  init(of clients: [TrainedElsewhere], _ method: MethodCatalog.Entry) throws(ApusError) {
    guard case .oneFactor(let turns) = method.combination else {
      (index, sent, common) = (0, .all, [])
      return
    }
    for (index, moving) in turns.enumerated() {
      let common: TensorRoles = moving == .b ? .a : .b
      let values = clients.map { $0.tensors(under: $0.ownScalings(like: clients[0])) }
        .map { $0.filtered(common) }
      guard values.allSatisfy({ $0.isIdentical(to: values[0]) }) else { continue }
      (self.index, sent, self.common) = (index, moving.union(.head), common)
      return
    }
    throw ApusError(
      .unsupported, at: "method \(method.card.id)",
      "\(method.card.name) averages one factor, but the other one is not the same in all adapters",
      remedy: "Combine adapters of one start, or use another method such as fedex-lora")
  }

  /// What the server begins with: the common factor, and B zero if it is not that one.
  func initial(_ reference: TrainedElsewhere) -> NamedTensors {
    var initial = reference.adapter.tensors
    guard !common.contains(.b) else { return initial }
    for pair in reference.pairs { initial[pair.b] = initial[pair.b]?.zerosLike }
    return initial
  }
}

extension TrainedElsewhere {
  /// The scalings of another adapter by site, under which two B can be compared.
  fileprivate func ownScalings(like other: TrainedElsewhere) -> [String: Double] {
    Dictionary(other.pairs.map { ($0.site, $0.scaling) }) { first, _ in first }
  }
}

extension [TrainedElsewhere] {
  /// Norms of Σ pₖ·sₖBₖAₖ, of what is written, and of their difference, over all sites.
  ///
  /// - Parameter written: The combined adapter.
  /// - Returns: `ideal_norm`, `written_norm` and `missed_norm`.
  /// - Throws: ``ApusError`` if what is written is no plain LoRA.
  func norms(beside written: AdapterFolder) throws(ApusError) -> Metrics {
    let total = reduce(0) { $0 + $1.weight }
    var (ideal, found, missed) = (0.0, 0.0, 0.0)
    for pair in try written.factorPairs {
      guard let a = written.tensors[pair.a], let b = written.tensors[pair.b] else { continue }
      var sum = FactoredSum()
      for client in self {
        guard let own = client.pairs.first(where: { $0.site == pair.site }),
          let a = client.adapter.tensors[own.a], let b = client.adapter.tensors[own.b]
        else { continue }
        sum.add(b: b, a: a, weight: client.weight / total * own.scaling)
      }
      ideal += sum.inner(with: sum)
      let product = FactoredSum(b: b, a: a, weight: pair.scaling)
      found += product.inner(with: product)
      sum.add(b: b, a: a, weight: -pair.scaling)
      missed += Swift.max(0, sum.inner(with: sum))
    }
    return [
      "ideal_norm": ideal.squareRoot(), "written_norm": found.squareRoot(),
      "missed_norm": missed.squareRoot(),
    ]
  }
}
