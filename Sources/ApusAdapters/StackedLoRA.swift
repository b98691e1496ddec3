internal import ApusCore
internal import ApusTorch

/// A model's adapters and its base delta as one LoRA: B′A′ = s·BA + Δ, of as high a rank as it takes.
///
/// The adapter alone would not give the trained model on the published checkpoint. Factors are those
/// of the singular value decomposition in float64, without what float32 cannot tell from zero. Every
/// site's alpha is its rank, so that its scaling is 1.
///
/// - Source: card FedEx-LoRA, "Pitfalls": one LoRA of B̄ beside the residual's factors.
struct StackedLoRA {
  /// Ranks and alphas of the stacked adapter; the rest as in the model's.
  let configuration: LoRAConfiguration
  /// Tensors of its folder.
  let tensors: NamedTensors

  init(_ model: AdaptedModel) {
    var tensors = model.storedValues
    var configuration = model.configuration
    configuration.useRSLoRA = false
    (configuration.rankPattern, configuration.alphaPattern) = ([:], [:])
    var ranks: [String: Int] = [:]
    for pair in model.factorPairs {
      guard let a = tensors[pair.a], let b = tensors[pair.b] else { continue }
      var sum = FactoredSum()
      sum.add(b: b, a: a, weight: pair.scaling)
      if let delta = model.baseDelta.sites[pair.site] {
        let factors = Self.factors(of: delta.to(device: b.device))
        sum.add(b: factors.u, a: factors.v, weight: 1)
      }
      let parts = sum.truncated(toRank: .max, droppingUpTo: sum.norm * 0x1p-24)
      let (u, v) =
        parts ?? (Tensor.zeros([b.size(0), 1]), Tensor.zeros([1, a.size(1)]))
      tensors[pair.b] = u.to(.float32).contiguous()
      tensors[pair.a] = v.to(.float32).contiguous()
      ranks[pair.site] = u.size(1)
    }
    let highest = ranks.values.max() ?? 1
    (configuration.rank, configuration.alpha) = (highest, Double(highest))
    for (site, rank) in ranks where rank != highest {
      configuration.rankPattern[site] = rank
      configuration.alphaPattern[site] = Double(rank)
    }
    self.configuration = configuration
    self.tensors = tensors
  }

  /// A matrix as a product with the identity, on its shorter side.
  private static func factors(of matrix: Tensor) -> (u: Tensor, v: Tensor) {
    let (rows, columns) = (matrix.size(0), matrix.size(1))
    let identity = Tensor.range(0, min(rows, columns)).oneHot(classes: min(rows, columns))
      .to(.float32, device: matrix.device)
    return rows <= columns ? (identity, matrix) : (matrix, identity)
  }
}
