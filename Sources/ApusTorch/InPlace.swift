internal import CApusTorch

// Writing in place, outside of any graph. Only for a tensor whose owner shares it with nobody:
// accumulators, optimizer state, and parameters between steps.
extension Tensor {
  /// Overwrites the elements with those of `source`, which has the same shape.
  public func assignInPlace(_ source: Tensor) { apus_copy_into(raw, source.raw) }
  /// Adds factor · source.
  public func addInPlace(_ source: Tensor, factor: Double = 1) {
    apus_add_into(raw, source.raw, factor)
  }
  /// Multiplies by `source`, elementwise.
  public func multiplyInPlace(_ source: Tensor) { apus_mul_into(raw, source.raw) }
  /// Multiplies by a number.
  public func scaleInPlace(_ factor: Double) { apus_mul_scalar_into(raw, factor) }
  /// Sets every element.
  public func fillInPlace(_ value: Double) { apus_fill_into(raw, value) }
  /// Adds factor · a · b, elementwise.
  public func addProductInPlace(_ a: Tensor, _ b: Tensor, factor: Double = 1) {
    apus_addcmul_into(raw, a.raw, b.raw, factor)
  }
  /// Adds factor · a / b, elementwise.
  public func addQuotientInPlace(_ a: Tensor, _ b: Tensor, factor: Double = 1) {
    apus_addcdiv_into(raw, a.raw, b.raw, factor)
  }
  /// Moves by `weight` of the way towards `source`.
  public func blendInPlace(_ source: Tensor, weight: Double) {
    apus_lerp_into(raw, source.raw, weight)
  }
}
