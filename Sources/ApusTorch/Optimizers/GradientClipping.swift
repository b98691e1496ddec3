/// Euclidean norm of all gradients together; NaN or infinite if one of their elements is.
public func globalNorm(of gradients: [Tensor?]) -> Double {
  let norms = gradients.compactMap { $0?.norm() }
  return norms.isEmpty ? 0 : withoutGradient { stacked(norms).norm().item }
}

/// The gradients scaled so that their common norm is at most `clipNorm`, and the norm they had.
///
/// The factor is min(1, clipNorm / (norm + 10⁻⁶)). With a norm that is NaN or infinite no factor
/// means anything: the gradients come back as they were, and the caller sees the norm.
///
/// - Parameters:
///   - gradients: Of all parameters that are trained together; nil ones count nothing.
///   - clipNorm: Largest norm, > 0.
/// - Returns: The gradients, and their norm before clipping.
/// - Source: `torch.nn.utils.clip_grad_norm_`.
public func clipped(
  _ gradients: [Tensor?], toNorm clipNorm: Double
) -> (gradients: [Tensor?], norm: Double) {
  let norm = globalNorm(of: gradients)
  let factor = clipNorm / (norm + 1e-6)
  guard norm.isFinite, factor < 1 else { return (gradients, norm) }
  return (withoutGradient { gradients.map { $0.map { $0 * factor } } }, norm)
}

/// The gradients with every element brought into −limit…limit; a NaN stays one.
///
/// - Source: `torch.nn.utils.clip_grad_value_`.
public func clipped(_ gradients: [Tensor?], toValue limit: Double) -> [Tensor?] {
  withoutGradient { gradients.map { $0?.clamped(low: -limit, high: limit) } }
}
