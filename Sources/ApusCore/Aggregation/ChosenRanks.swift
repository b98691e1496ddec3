public import ApusBase
internal import ApusTorch

/// One factor of every site with some of its ranks only: what clients send that train a choice.
///
/// B is sent by columns and A by rows, each site under the name of its factor and with its chosen
/// ranks in rising order; sites without a chosen rank are left out. Which they are stands in
/// ``selectionKey``, as numbers of ranks counted through all sites in the order of the pairs.
///
/// - Shapes: for k of a site's r ranks, columns of B [d_out, k] or rows of A [k, d_in]; the selection
///   int32.
public struct ChosenRanks: Sendable {
  /// Name of the tensor that says which ranks were chosen.
  public static let selectionKey = "selection"

  private let names: [String]
  private let axis: Int
  private let ranks: [Int]

  /// Describes the factor that moves.
  ///
  /// - Parameters:
  ///   - role: ``TensorRoles/b`` for the columns of B, else the rows of A.
  ///   - pairs: The sites.
  ///   - values: All factors, for their ranks.
  public init(_ role: TensorRoles, of pairs: [FactorPair], in values: NamedTensors) {
    names = pairs.map { role == .b ? $0.b : $0.a }
    axis = role == .b ? 1 : 0
    let axis = axis
    ranks = names.map { values[$0]?.size(axis) ?? 0 }
  }

  /// Number of ranks of all sites.
  public var total: Int { ranks.reduce(0, +) }

  /// 1 for elements of chosen ranks, 0 for the others; broadcasts to the factors.
  public func mask(_ selection: RankSelection) -> NamedTensors {
    var masks: [String: Tensor] = [:]
    for (index, name) in names.enumerated() {
      var flags = [Float](repeating: 0, count: ranks[index])
      for rank in selection.kept[index] { flags[rank] = 1 }
      masks[name] = Tensor(flags, shape: axis == 1 ? [1, flags.count] : [flags.count, 1])
    }
    return NamedTensors(masks)
  }

  /// The chosen ranks of the factors, and which they are.
  public func packed(_ values: NamedTensors, _ selection: RankSelection) -> NamedTensors {
    var packed: [String: Tensor] = [:]
    for (name, kept) in zip(names, selection.kept) where !kept.isEmpty {
      packed[name] = values[name]?.indexSelected(axis, Tensor(kept, shape: [kept.count]))
    }
    let flat = selection.flat(ranks: ranks)
    packed[Self.selectionKey] = Tensor(flat, shape: [flat.count]).to(.int32)
    return NamedTensors(packed)
  }

  /// The factors with the chosen ranks in their places, and zeros elsewhere.
  ///
  /// - Parameters:
  ///   - packed: What ``packed(_:_:)`` gave, and nothing else.
  ///   - expected: All factors, for their shapes.
  ///   - count: Number of ranks that the client may choose.
  ///   - place: Round and client, for errors.
  /// - Returns: One tensor for each site.
  /// - Throws: ``ApusError`` `.invalidMessage` for a selection that is none, `.shapeMismatch` for
  ///   tensors that do not go with it.
  public func unpacked(
    _ packed: NamedTensors, like expected: NamedTensors, count: Int, at place: String
  ) throws(ApusError) -> NamedTensors {
    guard let flat = packed[Self.selectionKey], !flat.dtype.isFloatingPoint, flat.rank == 1,
      flat.count == count, let selection = RankSelection(flat: flat.ints, ranks: ranks)
    else {
      throw ApusError(
        .invalidMessage, at: "\(place), \(Self.selectionKey)",
        "there is no choice of \(count) of the \(total) ranks",
        remedy: "Send the numbers of the chosen ranks in rising order")
    }
    var shapes: [String: Tensor] = [:]
    var whole: [String: Tensor] = [:]
    for (name, kept) in zip(names, selection.kept) {
      guard let zeros = expected[name]?.zerosLike else { continue }
      whole[name] = zeros
      if !kept.isEmpty { shapes[name] = zeros.sliced(axis, 0..<kept.count) }
    }
    let columns = packed.filtered { $0 != Self.selectionKey }
    try columns.requireShapes(of: NamedTensors(shapes), at: place)
    for (name, kept) in zip(names, selection.kept) {
      guard let values = columns[name], let zeros = whole[name] else { continue }
      whole[name] = zeros.indexAdded(
        axis, Tensor(kept, shape: [kept.count]), values.to(zeros.dtype))
    }
    return NamedTensors(whole)
  }
}
