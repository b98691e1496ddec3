public import ApusBase
public import ApusTorch

/// What was added to frozen weights since the checkpoint: W = W0 + Δ, with one Δ for each site.
///
/// Δ is kept in float32 beside W0, which is shared by all clients of a process, may be bfloat16, in
/// which small additions would vanish, and is never written. As long as that takes fewer elements
/// it is kept as factors, to which each change adds its own; then as one matrix, for good.
///
/// - Shapes: Δ [d_out, d_in], as `<site>.u` [d_out, m] with `<site>.v` [m, d_in], or as `<site>.w`.
public struct BaseDelta: Sendable {
  /// The factors or the matrix of each site.
  private(set) var tensors: NamedTensors

  static let prefix = "base_delta."
  static let sumPrefix = "base_delta.sum."

  /// Nothing added.
  public init() { tensors = NamedTensors() }

  /// A delta of these factors and matrices.
  init(tensors: NamedTensors) { self.tensors = tensors }

  /// The delta that is among other tensors, such as those of a server's global model.
  public init(in tensors: NamedTensors) { self.tensors = tensors.below(Self.sumPrefix) }

  /// Whether nothing was added.
  public var isEmpty: Bool { tensors.isEmpty }

  /// Number of elements that are kept.
  public var elementCount: Int { tensors.elementCount }

  /// The factors and matrices under names that tell them from trainable tensors.
  public var named: NamedTensors { tensors.above(Self.sumPrefix) }

  /// Module paths of the projections that have a Δ.
  public var paths: [String] {
    tensors.names.filter { !$0.hasSuffix(".v") }.map { String($0.dropLast(2)) }
  }

  /// U and V of a site whose Δ is kept as factors.
  public func factors(of site: String) -> (u: Tensor, v: Tensor)? {
    guard let u = tensors["\(site).u"], let v = tensors["\(site).v"] else { return nil }
    return (u, v)
  }

  /// Δ of a site as a matrix, formed if it is kept as factors.
  ///
  /// Of copies, as the bits of a product can depend on where in memory its operands begin.
  public func matrix(of site: String) -> Tensor? {
    tensors["\(site).w"] ?? factors(of: site).map { matmul($0.u.cloned(), $0.v.cloned()) }
  }

  /// Δ by module path, as matrices.
  public var sites: NamedTensors {
    let matrices = paths.compactMap { path in matrix(of: path).map { (path, $0) } }
    return NamedTensors(Dictionary(uniqueKeysWithValues: matrices))
  }

  /// Adds a change: Δ ← Δ + U·V.
  ///
  /// The operands are copied first: two sides that add the same changes in the same order have the
  /// same bits, wherever in memory they received them.
  ///
  /// - Parameter change: Of sites with the shapes that they had before.
  /// - Throws: ``ApusError`` `.shapeMismatch`; the delta is then as before.
  public mutating func add(_ change: BaseChange) throws(ApusError) {
    var sums = tensors
    for name in change.tensors.names where !name.hasSuffix(".v") {
      let site = String(name.dropLast(2))
      guard let added = Change(site, in: change.tensors),
        shape(of: site) ?? added.shape == added.shape
      else {
        throw ApusError(
          .shapeMismatch, at: "base delta, \(site)", "the change does not fit the site's weight",
          remedy: "Start all sides from the same checkpoint")
      }
      for (part, tensor) in sum(of: site, and: added) { sums["\(site).\(part)"] = tensor }
    }
    tensors = sums
  }

  /// The shape [d_out, d_in] of a site's Δ.
  public func shape(of site: String) -> [Int]? {
    tensors["\(site).w"]?.shape
      ?? factors(of: site).map { [$0.u.size(0), $0.v.size(1)] }
  }

  /// The parts of Δ + change, nil for one that is no longer there.
  private func sum(of site: String, and change: Change) -> [(String, Tensor?)] {
    let former = factors(of: site)
    if case .factors(let u, let v) = change, tensors["\(site).w"] == nil {
      let whole = former.map { (concatenated([$0.u, u], dim: 1), concatenated([$0.v, v])) }
      let (allU, allV) = whole ?? (u, v)
      let (rows, columns, inner) = (allU.size(0), allV.size(1), allU.size(1))
      if inner * (rows + columns) < rows * columns { return [("u", allU), ("v", allV)] }
    }
    let start = matrix(of: site)
    let matrix =
      switch change {
      case .matrix(let w): start.map { $0 + w } ?? w
      case .factors(let u, let v): start.map { addmm($0, u, v) } ?? matmul(u, v)
      }
    return [("w", matrix), ("u", nil), ("v", nil)]
  }

  /// A change of one site, with memory of its own.
  private enum Change {
    case matrix(Tensor)
    case factors(Tensor, Tensor)

    init?(_ site: String, in tensors: NamedTensors) {
      func part(_ name: String) -> Tensor? {
        tensors["\(site).\(name)"].flatMap {
          $0.rank == 2 ? $0.detached().to(.float32).cloned() : nil
        }
      }
      if let matrix = part("w") {
        self = .matrix(matrix)
      } else if let u = part("u"), let v = part("v"), u.size(1) == v.size(0) {
        self = .factors(u, v)
      } else {
        return nil
      }
    }

    var shape: [Int] {
      switch self {
      case .matrix(let matrix): matrix.shape
      case .factors(let u, let v): [u.size(0), v.size(1)]
      }
    }
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
