public import ApusBase
internal import ApusTorch

/// What was added to frozen weights since the checkpoint: W = W0 + Δ, with one Δ for each site.
///
/// Δ is kept in float32 beside W0, which is shared by all clients of a process, may be bfloat16, in
/// which small additions would vanish, and is never written.
///
/// - Shapes: Δ [d_out, d_in].
public struct BaseDelta: Sendable {
  /// Δ by module path of the projection.
  public private(set) var sites: NamedTensors

  static let prefix = "base_delta."
  static let sumPrefix = "base_delta.sum."

  /// Nothing added.
  public init() { sites = NamedTensors() }

  /// A delta of these matrices by site.
  init(sites: NamedTensors) { self.sites = sites }

  /// The delta that is among other tensors, such as those of a server's global model.
  public init(in tensors: NamedTensors) { sites = tensors.below(Self.sumPrefix) }

  /// Whether nothing was added.
  public var isEmpty: Bool { sites.isEmpty }

  /// The matrices under names that tell them from trainable tensors.
  public var named: NamedTensors { sites.above(Self.sumPrefix) }

  /// Adds a change: Δ ← Δ + U·V.
  ///
  /// The operands are copied first: two sides that add the same changes in the same order have the
  /// same bits, wherever in memory they received them.
  ///
  /// - Parameter change: Of sites with the shapes that they had before.
  /// - Throws: ``ApusError`` `.shapeMismatch`; the delta is then as before.
  public mutating func add(_ change: BaseChange) throws(ApusError) {
    var sums = sites
    for (name, tensor) in change.tensors where !name.hasSuffix(".v") {
      let site = String(name.dropLast(2))
      let first = tensor.detached().to(.float32).cloned()
      let former = sums[site]
      if name.hasSuffix(".w"), first.rank == 2, former?.shape ?? first.shape == first.shape {
        sums[site] = former.map { $0 + first } ?? first
      } else if let second = change.tensors["\(site).v"]?.detached().to(.float32).cloned(),
        first.rank == 2, second.rank == 2, first.size(1) == second.size(0),
        former?.shape ?? [first.size(0), second.size(1)] == [first.size(0), second.size(1)]
      {
        let start = former ?? Tensor.zeros([first.size(0), second.size(1)], device: first.device)
        sums[site] = addmm(start, first, second)
      } else {
        throw ApusError(
          .shapeMismatch, at: "base delta, \(site)", "the change does not fit the site's weight",
          remedy: "Start all sides from the same checkpoint")
      }
    }
    sites = sums
  }
}

extension NamedTensors {
  /// Without the tensors of a base delta: what trains, of a brief or of a global model.
  public var withoutBaseDelta: NamedTensors {
    filtered { $0.removing(prefix: BaseDelta.prefix) == nil }
  }

  /// The tensors whose name begins with `prefix`, under the rest of it.
  func below(_ prefix: String) -> NamedTensors {
    var found: [String: Tensor] = [:]
    for (name, tensor) in self {
      if let own = name.removing(prefix: prefix) { found[own] = tensor }
    }
    return NamedTensors(found)
  }

  /// The same tensors with `prefix` before their names.
  func above(_ prefix: String) -> NamedTensors {
    NamedTensors(Dictionary(uniqueKeysWithValues: map { ("\(prefix)\($0.name)", $0.tensor) }))
  }
}
