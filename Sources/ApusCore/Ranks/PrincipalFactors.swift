public import ApusBase
internal import ApusTorch

extension ServerSetting {
  /// LoRA factors of the largest singular values of the frozen weights, shared on both sides alike.
  ///
  /// With W = USVᵀ they are B = U_r√(S_r / s) and A = √(S_r / s)V_rᵀ, so that s·BA = U_rS_rV_rᵀ.
  /// Another machine's decomposition may have other signs, or turn equal singular values, so one
  /// side makes them and sends them.
  ///
  /// - Returns: A [r, d_in] and B [d_out, r] of each pair, in the rank that it starts with.
  /// - Throws: ``ApusError`` `.unsupported` if the weight of a site is not at hand.
  /// - Source: Meng et al., arXiv 2404.02948, for one weight; card FRLoRA, "State".
  public func principalFactors() throws(ApusError) -> NamedTensors {
    var factors: [String: Tensor] = [:]
    for pair in factorPairs {
      guard let rank = initial.rank(of: pair) else { continue }
      guard let weight = weights[pair.site] else {
        throw ApusError(
          .unsupported, at: pair.site, "the server does not have the frozen weight",
          remedy: "Give the server the checkpoint, or use a method that needs the updates alone")
      }
      let top = LeadingDirections(of: weight, rank: rank)
      let roots = (top.s / pair.scaling).squareRoot
      factors[pair.b] = (top.u * roots).to(.float32).contiguous()
      factors[pair.a] = (top.vt * roots.unsqueezed(1)).to(.float32).contiguous()
    }
    try Tensor.check("principal factors")
    return NamedTensors(factors)
  }
}
