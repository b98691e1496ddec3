internal import CApusTorch

/// Matrix product over the last two axes, broadcasting the others.
public func matmul(_ a: Tensor, _ b: Tensor) -> Tensor { Tensor(apus_matmul(a.raw, b.raw)) }

/// x·Wᵀ + b.
///
/// - Shapes: x […, d_in], weight [d_out, d_in], bias [d_out], result […, d_out].
public func linear(_ x: Tensor, weight: Tensor, bias: Tensor? = nil) -> Tensor {
  Tensor(apus_linear(x.raw, weight.raw, bias?.raw))
}

/// beta·input + alpha·(a·b) of matrices, without a temporary for the product.
public func addmm(
  _ input: Tensor, _ a: Tensor, _ b: Tensor, beta: Double = 1, alpha: Double = 1
) -> Tensor { Tensor(apus_addmm(input.raw, a.raw, b.raw, beta, alpha)) }

/// beta·input + alpha·(a·b) of batches of matrices [B, m, k]·[B, k, n].
public func baddbmm(
  _ input: Tensor, _ a: Tensor, _ b: Tensor, beta: Double = 1, alpha: Double = 1
) -> Tensor { Tensor(apus_baddbmm(input.raw, a.raw, b.raw, beta, alpha)) }

/// Rows shifted and scaled to mean 0 and variance 1 over the last axis, then scaled and shifted.
public func layerNorm(
  _ x: Tensor, weight: Tensor?, bias: Tensor?, epsilon: Double
) -> Tensor {
  Tensor(apus_layer_norm(x.raw, [Int64(x.size(-1))], 1, weight?.raw, bias?.raw, epsilon))
}

/// Rows of `weight` [n, D] named by `indices` […], giving […, D].
public func embedding(_ weight: Tensor, _ indices: Tensor) -> Tensor {
  Tensor(apus_embedding(weight.raw, indices.raw))
}

/// Two-dimensional convolution with one stride and padding for both axes.
///
/// - Shapes: x [B, in, H, W], weight [out, in / groups, h, w], bias [out].
public func conv2d(
  _ x: Tensor, weight: Tensor, bias: Tensor? = nil, stride: Int = 1, padding: Int = 0,
  groups: Int = 1
) -> Tensor {
  Tensor(
    apus_conv2d(x.raw, weight.raw, bias?.raw, Int64(stride), Int64(padding), Int64(groups)))
}

/// Cross entropy of logits [N, C] against class indices [N]: a scalar.
///
/// - Parameters:
///   - logits: Unnormalized scores.
///   - classes: int64; rows with the value `ignored` count nothing.
///   - ignored: The index that marks rows to leave out.
///   - labelSmoothing: Share of the target that is spread evenly over all classes, 0…1.
///   - sum: The sum over rows instead of their mean.
/// - Returns: The loss, in nats.
public func crossEntropy(
  _ logits: Tensor, _ classes: Tensor, ignored: Int = -100, labelSmoothing: Double = 0,
  sum: Bool = false
) -> Tensor {
  Tensor(apus_cross_entropy(logits.raw, classes.raw, Int64(ignored), labelSmoothing, sum))
}
