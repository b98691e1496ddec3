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
  let configuration: AdapterConfiguration
  /// Tensors of its folder.
  let tensors: NamedTensors

  init(_ model: AdaptedModel, _ set: AdapterSet) {
    var tensors = model.storedValues(of: set)
    for (name, _) in set.shared { tensors[name] = nil }
    var ranks: [(path: String, rank: Int, scaling: Double)] = []
    for member in set.members {
      let weight = member.site.base.weight.value
      let stem = "\(AdaptedModel.prefix)\(member.path)."
      var sum = FactoredSum()
      if let factors = member.adapter.factors, let a = tensors[stem + factors.a],
        let b = tensors[stem + factors.b]
      {
        sum.add(b: b, a: a, weight: member.adapter.scaling)
      } else {
        sum.add(matrix: member.adapter.change(of: weight), weight: 1)
      }
      if let (u, v) = model.baseDelta.factors(of: member.path) {
        sum.add(b: u.to(device: weight.device), a: v.to(device: weight.device), weight: 1)
      } else if let delta = model.baseDelta.matrix(of: member.path) {
        sum.add(matrix: delta.to(device: weight.device), weight: 1)
      }
      let parts = sum.truncated(toRank: .max, droppingUpTo: sum.norm * 0x1p-24)
      let (u, v) =
        parts ?? (Tensor.zeros([weight.size(0), 1]), Tensor.zeros([1, weight.size(1)]))
      for (suffix, _) in member.adapter.stored { tensors[stem + suffix] = nil }
      tensors["\(stem)lora_B.weight"] = u.to(.float32).contiguous()
      tensors["\(stem)lora_A.weight"] = v.to(.float32).contiguous()
      ranks.append((member.path, u.size(1), 1))
    }
    configuration = set.configuration.asLoRA.stating(ranks)
    self.tensors = tensors
  }
}
