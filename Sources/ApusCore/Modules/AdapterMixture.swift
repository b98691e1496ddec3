public import ApusTorch

/// How the named adapters of a model act together: which of them, how strongly, and whether a
/// gradient flows through them.
///
/// With weight w an adapter's part is w times what it changes of the output. Weight 1 is the
/// adapter itself, bit for bit, and weight 0 costs nothing.
public struct AdapterMixture: Sendable {
  /// How strongly an adapter acts.
  public enum Weight: Sendable {
    /// The same for all rows.
    case constant(Double)
    /// One weight for each example of the batch [B].
    case perExample(Tensor)
    /// What the site's gate gives this adapter, row by row.
    case gated
  }

  /// The part of one adapter.
  public struct Share: Sendable {
    /// How strongly it acts.
    public var weight: Weight
    /// Whether its part is a constant of the graph, of which no gradient flows back.
    public var isDetached: Bool

    /// A share.
    public init(_ weight: Weight, isDetached: Bool = false) {
      self.weight = weight
      self.isDetached = isDetached
    }

    /// The adapter as it is.
    public static let whole = Share(.constant(1))
    /// The adapter does not act.
    public static let none = Share(.constant(0))
  }

  /// The shares by the adapters' names; an adapter without an entry acts as a whole.
  public var shares: [String: Share]
  /// Whether all adapters of a site drop the same elements, rather than each its own.
  public var sharesDropout: Bool
  /// Weight μ of a companion's scores beside 1 − μ of the model's; nil for the model alone.
  public var companion: CompanionWeight?
  /// The cut by which an emulator takes the place of the model's lower blocks; nil for the whole
  /// model.
  public var emulator: EmulatorPlan?

  /// A mixture of these shares.
  public init(
    _ shares: [String: Share] = [:], sharesDropout: Bool = false,
    companion: CompanionWeight? = nil
  ) {
    self.shares = shares
    self.sharesDropout = sharesDropout
    self.companion = companion
  }

  /// The adapter of one name alone, of those that are given.
  public static func only(_ name: String, of names: [String]) -> AdapterMixture {
    AdapterMixture(
      Dictionary(names.filter { $0 != name }.map { ($0, .none) }, uniquingKeysWith: { $1 }))
  }

  /// Whether some weights are given example by example.
  public var isPerExample: Bool {
    shares.values.contains { if case .perExample = $0.weight { true } else { false } }
  }

  /// The mixture for some of the examples: weights given for each are those at these places.
  public func selecting(_ places: [Int]) -> AdapterMixture {
    var selected = self
    let index = Tensor(places, shape: [places.count])
    for (name, share) in shares {
      guard case .perExample(let weights) = share.weight else { continue }
      selected.shares[name]?.weight = .perExample(
        weights.indexSelected(0, index.to(device: weights.device)))
    }
    return selected
  }

  /// The share of the adapter of this name.
  public subscript(name: String) -> Share { shares[name] ?? .whole }
}

/// How the scores of a model and those of its companion become one.
public struct CompanionWeight: Sendable, Equatable {
  /// Factor on what the model gives.
  public var model: Double
  /// Factor on what the companion gives.
  public var companion: Double

  /// Two factors.
  public init(model: Double, companion: Double) {
    self.model = model
    self.companion = companion
  }

  /// The sum of both with their factors; what has factor 0 costs no gradient.
  public func mixed(_ own: Tensor, _ other: Tensor) -> Tensor {
    if companion == 0 { return model == 1 ? own : own * model }
    if model == 0 { return companion == 1 ? other : other * companion }
    return own * model + other * companion
  }

  /// 1 − μ for the model and μ for the companion.
  public static func mixed(_ mu: Double) -> CompanionWeight {
    CompanionWeight(model: 1 - mu, companion: mu)
  }
}

/// Weighs the adapters of a site for each row by the row itself: g = softmax(G·x).
///
/// In float32 whatever the rows are.
///
/// - Shapes: G [n, d_in] for n adapters, x [T, d_in], g [T, n] with rows that sum to 1.
public final class AdapterGate {
  /// G, a leaf of the graph.
  public let weight: Tensor
  /// The adapters in the order of G's rows.
  public let names: [String]

  /// A gate with this G.
  public init(_ weight: Tensor, for names: [String]) {
    self.weight = weight
    self.names = names
  }

  /// The weights of all adapters [T, n].
  public func weights(_ x: Tensor) -> Tensor {
    softmax(linear(x.to(.float32), weight: weight))
  }
}

extension AdapterMixture.Share {
  /// What an adapter makes of an output when it has this share.
  ///
  /// - Parameters:
  ///   - output: What came so far […, d_out].
  ///   - gate: The adapter's weight for each row [T, 1], if there is a gate.
  ///   - layout: Which rows belong to which example.
  ///   - adapted: The adapter's answer to an output.
  /// - Returns: output + w · (adapted − output).
  func applied(
    to output: Tensor, gate: Tensor?, layout: RowLayout, _ adapted: (Tensor) -> Tensor
  ) -> Tensor {
    if case .constant(let value) = weight {
      if value == 0 { return output }
      if value == 1, !isDetached { return adapted(output) }
    }
    let change: Tensor
    if isDetached {
      change = withoutGradient { adapted(output) - output }
    } else {
      change = adapted(output) - output
    }
    switch weight {
    case .constant(let value): return output + change * value
    case .perExample(let values):
      let rows = values.count == output.size(0) ? values : layout.rowValues(values)
      return output + change * rows.reshaped([-1, 1]).to(change.dtype)
    case .gated:
      guard let gate else { return output + change }
      return output + change * gate.to(change.dtype)
    }
  }
}
