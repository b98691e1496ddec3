public import ApusTorch

/// How the second-order term of a hypergradient is found.
public enum HypergradientRule: String, Sendable, Codable, CaseIterable {
  /// Backward through the gradient: exact.
  case doubleBackward = "double-backward"
  /// From two gradients a little apart: first-order passes only.
  case centralDifference = "central-difference"
  /// The term is left out.
  case firstOrder = "first-order"
}

/// One step of a bilevel problem min_x f(x, y*(x)), y*(x) ∈ argmin_y f(x, y): a gradient step on y,
/// and the gradient by x that knows how y will answer.
///
/// y⁺ = y − α·∇_y f(x, y; π) and g = ∇_x f(x, y⁺; ξ) − α·∇²_xy f(x, y; π)·v with
/// v = ∇_y f(x, y⁺; ξ), the gradient of x ↦ f(x, y − α·∇_y f(x, y; π); ξ) for batches π and ξ.
///
/// - Source: Hao et al., arXiv 2503.03920, Algorithm 1; the difference of 2b as in Liu et al.,
///   DARTS, arXiv 1806.09055, §2.3.
public struct BilevelStep: Sendable {
  /// Learning rate α of the lower level.
  public var rate: Double
  /// How the second-order term is found.
  public var rule: HypergradientRule

  /// Step of the difference, times 1/‖v‖.
  private static let radius = 0.01

  /// Describes the step.
  public init(rate: Double, rule: HypergradientRule) {
    self.rate = rate
    self.rule = rule
  }

  /// Moves y in place to y⁺ and finds the hypergradient at x.
  ///
  /// - Parameters:
  ///   - upper: Leaves x; they keep their values.
  ///   - lower: Leaves y.
  ///   - lowerLoss: f(x, y; π) at the leaves' present values; the same chance at every call.
  ///   - upperLoss: f(x, y; ξ) at the leaves' present values.
  /// - Returns: One gradient for each of `upper`, nil where f does not depend on it, and the value of
  ///   f(x, y⁺; ξ).
  public func callAsFunction(
    upper: [Tensor], lower: [Tensor], lowerLoss: () throws -> Tensor,
    upperLoss: () throws -> Tensor
  ) rethrows -> (gradients: [Tensor?], loss: Tensor) {
    let former = lower.map { $0.detached().cloned() }
    let descent = try lowerLoss().gradients(by: lower)
    let moved = withoutGradient {
      zip(former, descent).map { y, g in g.map { y - $0 * rate } ?? y }
    }
    Self.assign(lower, moved)
    let loss = try upperLoss()
    let gradients = loss.gradients(by: upper + lower)
    let direct = Array(gradients.prefix(upper.count))
    let v = zip(lower, gradients.dropFirst(upper.count)).map { $1 ?? $0.zerosLike }
    guard rate != 0, rule != .firstOrder else { return (direct, loss.detached()) }
    let mixed =
      switch rule {
      case .doubleBackward: try backward(upper, lower, former, v, lowerLoss)
      default: try difference(upper, lower, former, v, lowerLoss)
      }
    Self.assign(lower, moved)
    let total = withoutGradient {
      zip(direct, mixed).map { direct, mixed in
        guard let mixed else { return direct }
        return direct.map { $0 - mixed * rate } ?? mixed * -rate
      }
    }
    return (total, loss.detached())
  }

  /// ∇_x ⟨∇_y f(x, y; π), v⟩.
  private func backward(
    _ upper: [Tensor], _ lower: [Tensor], _ former: [Tensor], _ v: [Tensor],
    _ loss: () throws -> Tensor
  ) rethrows -> [Tensor?] {
    Self.assign(lower, former)
    let first = try loss().gradients(by: lower, createGraph: true)
    let products = zip(first, v).compactMap { gradient, v in
      gradient.map { ($0 * v.detached()).sum() }
    }
    guard let start = products.first else { return upper.map { _ in nil } }
    let product = products.dropFirst().reduce(start) { $0 + $1 }
    guard product.requiresGradient else { return upper.map { _ in nil } }
    return product.gradients(by: upper)
  }

  /// [∇_x f(x, y + εv; π) − ∇_x f(x, y − εv; π)] / 2ε with ε = 0.01 / ‖v‖.
  private func difference(
    _ upper: [Tensor], _ lower: [Tensor], _ former: [Tensor], _ v: [Tensor],
    _ loss: () throws -> Tensor
  ) rethrows -> [Tensor?] {
    let norm = globalNorm(of: v)
    guard norm > 0 else { return upper.map { _ in nil } }
    let epsilon = Self.radius / norm
    let sides = try [epsilon, -epsilon].map { step in
      Self.assign(lower, withoutGradient { zip(former, v).map { $0 + $1 * step } })
      return try loss().gradients(by: upper)
    }
    return withoutGradient {
      zip(sides[0], sides[1]).map { ahead, behind in
        guard let ahead, let behind else { return nil }
        return (ahead - behind) / (2 * epsilon)
      }
    }
  }

  private static func assign(_ leaves: [Tensor], _ values: [Tensor]) {
    withoutGradient { for (leaf, value) in zip(leaves, values) { leaf.assignInPlace(value) } }
  }
}
