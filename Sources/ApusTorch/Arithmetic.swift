internal import CApusTorch

// Operators broadcast as in NumPy. A scalar does not change the dtype of a number, except that
// integers and a fraction give float32.
extension Tensor {
  public static func + (a: Tensor, b: Tensor) -> Tensor { Tensor(apus_add(a.raw, b.raw)) }
  public static func - (a: Tensor, b: Tensor) -> Tensor { Tensor(apus_sub(a.raw, b.raw)) }
  public static func * (a: Tensor, b: Tensor) -> Tensor { Tensor(apus_mul(a.raw, b.raw)) }
  public static func / (a: Tensor, b: Tensor) -> Tensor { Tensor(apus_div(a.raw, b.raw)) }
  public static prefix func - (x: Tensor) -> Tensor { Tensor(apus_neg(x.raw)) }

  public static func + (x: Tensor, value: Double) -> Tensor {
    Tensor(apus_add_scalar(x.raw, value))
  }
  public static func - (x: Tensor, value: Double) -> Tensor {
    Tensor(apus_add_scalar(x.raw, -value))
  }
  public static func * (x: Tensor, value: Double) -> Tensor {
    Tensor(apus_mul_scalar(x.raw, value))
  }
  public static func / (x: Tensor, value: Double) -> Tensor {
    Tensor(apus_mul_scalar(x.raw, 1 / value))
  }
  public static func + (value: Double, x: Tensor) -> Tensor { x + value }
  public static func - (value: Double, x: Tensor) -> Tensor { -x + value }
  public static func * (value: Double, x: Tensor) -> Tensor { x * value }
  public static func / (value: Double, x: Tensor) -> Tensor { x.power(-1) * value }

  /// Elementwise absolute value.
  public var magnitude: Tensor { Tensor(apus_abs(raw)) }
  /// Elementwise x².
  public var squared: Tensor { Tensor(apus_square(raw)) }
  /// Elementwise √x.
  public var squareRoot: Tensor { Tensor(apus_sqrt(raw)) }
  /// Elementwise 1/√x.
  public var inverseSquareRoot: Tensor { Tensor(apus_rsqrt(raw)) }
  /// Elementwise sign: −1, 0 or 1.
  public var sign: Tensor { Tensor(apus_sign(raw)) }
  /// Elementwise, whether the number is neither NaN nor infinite.
  public var isFinite: Tensor { Tensor(apus_isfinite(raw)) }
  /// Elementwise largest whole number not above.
  public var floor: Tensor { Tensor(apus_floor(raw)) }
  /// Elementwise nearest whole number, halves to even.
  public var rounded: Tensor { Tensor(apus_round(raw)) }

  /// Elementwise power with one exponent.
  public func power(_ exponent: Double) -> Tensor { Tensor(apus_pow_scalar(raw, exponent)) }
  /// Elementwise power with an exponent for each element.
  public func power(_ exponent: Tensor) -> Tensor { Tensor(apus_pow(raw, exponent.raw)) }
  /// Elementwise, no less than `low` and no more than `high`.
  public func clamped(low: Double? = nil, high: Double? = nil) -> Tensor {
    var result = self
    if let low { result = Tensor(apus_clamp_min_scalar(result.raw, low)) }
    if let high { result = Tensor(apus_clamp_max_scalar(result.raw, high)) }
    return result
  }
  /// A tensor of its shape, dtype and device, of zeros.
  public var zerosLike: Tensor { Tensor(apus_zeros_like(raw)) }
  /// A tensor of its shape, dtype and device, of ones.
  public var onesLike: Tensor { Tensor(apus_ones_like(raw)) }

  public static func .== (a: Tensor, b: Tensor) -> Tensor { Tensor(apus_eq(a.raw, b.raw)) }
  public static func .!= (a: Tensor, b: Tensor) -> Tensor { Tensor(apus_ne(a.raw, b.raw)) }
  public static func .< (a: Tensor, b: Tensor) -> Tensor { Tensor(apus_lt(a.raw, b.raw)) }
  public static func .<= (a: Tensor, b: Tensor) -> Tensor { Tensor(apus_le(a.raw, b.raw)) }
  public static func .> (a: Tensor, b: Tensor) -> Tensor { Tensor(apus_gt(a.raw, b.raw)) }
  public static func .>= (a: Tensor, b: Tensor) -> Tensor { Tensor(apus_ge(a.raw, b.raw)) }
  public static func .== (x: Tensor, value: Double) -> Tensor {
    Tensor(apus_eq_scalar(x.raw, value))
  }
  public static func .!= (x: Tensor, value: Double) -> Tensor {
    Tensor(apus_ne_scalar(x.raw, value))
  }
  public static func .< (x: Tensor, value: Double) -> Tensor {
    Tensor(apus_lt_scalar(x.raw, value))
  }
  public static func .<= (x: Tensor, value: Double) -> Tensor {
    Tensor(apus_le_scalar(x.raw, value))
  }
  public static func .> (x: Tensor, value: Double) -> Tensor {
    Tensor(apus_gt_scalar(x.raw, value))
  }
  public static func .>= (x: Tensor, value: Double) -> Tensor {
    Tensor(apus_ge_scalar(x.raw, value))
  }
  public static func .& (a: Tensor, b: Tensor) -> Tensor { Tensor(apus_logical_and(a.raw, b.raw)) }
  public static func .| (a: Tensor, b: Tensor) -> Tensor { Tensor(apus_logical_or(a.raw, b.raw)) }
  public static prefix func .! (x: Tensor) -> Tensor { Tensor(apus_logical_not(x.raw)) }

  /// Whether shape, dtype and every bit of every element are the same.
  public func isIdentical(to other: Tensor) -> Bool {
    guard shape == other.shape, dtype == other.dtype else { return false }
    return withUnsafeBytes { mine in other.withUnsafeBytes { mine.elementsEqual($0) } }
  }
}

/// Elementwise eˣ.
public func exp(_ x: Tensor) -> Tensor { Tensor(apus_exp(x.raw)) }
/// Elementwise natural logarithm.
public func log(_ x: Tensor) -> Tensor { Tensor(apus_log(x.raw)) }
/// Elementwise log(1 + x).
public func log1p(_ x: Tensor) -> Tensor { Tensor(apus_log1p(x.raw)) }
/// Elementwise sine.
public func sin(_ x: Tensor) -> Tensor { Tensor(apus_sin(x.raw)) }
/// Elementwise cosine.
public func cos(_ x: Tensor) -> Tensor { Tensor(apus_cos(x.raw)) }
/// Elementwise hyperbolic tangent.
public func tanh(_ x: Tensor) -> Tensor { Tensor(apus_tanh(x.raw)) }
/// Elementwise logistic function 1 / (1 + e⁻ˣ).
public func sigmoid(_ x: Tensor) -> Tensor { Tensor(apus_sigmoid(x.raw)) }
/// Elementwise max(x, 0).
public func relu(_ x: Tensor) -> Tensor { Tensor(apus_relu(x.raw)) }
/// Elementwise x · sigmoid(x).
public func silu(_ x: Tensor) -> Tensor { Tensor(apus_silu(x.raw)) }
/// Elementwise error function.
public func erf(_ x: Tensor) -> Tensor { Tensor(apus_erf(x.raw)) }
/// Elementwise Gaussian error linear unit, exact or by its tanh approximation.
public func gelu(_ x: Tensor, tanhApproximation: Bool = false) -> Tensor {
  Tensor(apus_gelu(x.raw, tanhApproximation))
}
/// The gradient of ``gelu(_:tanhApproximation:)`` at `x`, times `gradient`.
public func geluBackward(
  _ gradient: Tensor, at x: Tensor, tanhApproximation: Bool = false
) -> Tensor { Tensor(apus_gelu_backward(gradient.raw, x.raw, tanhApproximation)) }
/// Elementwise larger of two.
public func maximum(_ a: Tensor, _ b: Tensor) -> Tensor { Tensor(apus_maximum(a.raw, b.raw)) }
/// Elementwise smaller of two.
public func minimum(_ a: Tensor, _ b: Tensor) -> Tensor { Tensor(apus_minimum(a.raw, b.raw)) }
/// Elementwise `a` where `condition` is true, else `b`.
public func select(_ condition: Tensor, _ a: Tensor, otherwise b: Tensor) -> Tensor {
  Tensor(apus_where(condition.raw, a.raw, b.raw))
}
