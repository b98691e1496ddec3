public import ApusBase
internal import CApusTorch

/// Zero with this probability, else scaled so that the expectation stays: dropout in training.
///
/// On the processor the mask is never stored: forward and backward draw it again from the same
/// seed, in one pass over the elements, which costs a fraction of drawing with libtorch.
///
/// - Parameters:
///   - x: Any shape; float32 and bfloat16 take the fast way.
///   - probability: Share that becomes zero, 0 < p < 1; counts to 31 bits.
///   - stream: Gives the mask's seed, and moves on.
/// - Returns: A fresh tensor of the same shape and dtype.
public func dropout(_ x: Tensor, probability: Double, stream: inout RandomStream) -> Tensor {
  guard x.device == .cpu, [.float32, .bfloat16].contains(x.dtype), x.isContiguous else {
    let kept = 1 - probability
    let mask = Tensor.bernoulli(
      x.shape, probability: kept, stream: &stream, dtype: x.dtype, device: x.device)
    return x * (mask / kept)
  }
  return masked(x, probability, seed: stream.next())
}

/// x times the mask of this seed: linear in x, so its own backward.
private func masked(_ x: Tensor, _ probability: Double, seed: UInt64) -> Tensor {
  customOperation([x]) {
    [Tensor(apus_dropout(x.raw, probability, seed))]
  } backward: { gradients in
    [gradients[0].map { masked($0, probability, seed: seed) }]
  }[0]
}
