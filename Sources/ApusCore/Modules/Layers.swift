public import ApusBase
public import ApusTorch

/// x·Wᵀ + b.
///
/// - Shapes: weight [d_out, d_in], bias [d_out], input […, d_in], output […, d_out].
public final class Linear: Module {
  /// W.
  public let weight: Parameter
  /// b, if the layer has one.
  public let bias: Parameter?
  /// Sees every input, while statistics of them are taken.
  public var observer: ((Tensor) -> Void)?

  /// A layer without weights yet.
  ///
  /// - Parameters:
  ///   - inputs: d_in.
  ///   - outputs: d_out.
  ///   - bias: Whether there is a b.
  ///   - isStoredTransposed: Whether checkpoints keep Wᵀ, as those of GPT-2 do; here it is W always.
  public init(
    _ inputs: Int, _ outputs: Int, bias: Bool = true, isStoredTransposed: Bool = false
  ) {
    weight = Parameter(outputs, inputs, isStoredTransposed: isStoredTransposed)
    self.bias = bias ? Parameter(outputs) : nil
  }

  /// d_in.
  public var inputs: Int { weight.shape[1] }
  /// d_out.
  public var outputs: Int { weight.shape[0] }

  /// The layer's output, in the input's dtype: trained weights are float32 beside any activation.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    observer?(x)
    if let packed = weight.packed {
      guard let bias = bias?.value, bias.requiresGradient else {
        return packed.product(x, bias: bias?.value)
      }
      return packed.product(x, bias: nil) + bias.to(x.dtype)
    }
    return linear(x, weight: weight.value.to(x.dtype), bias: bias?.value.to(x.dtype))
  }
}

/// A table of vectors.
///
/// - Shapes: weight [n, D], indices […], output […, D].
public final class Embedding: Module {
  /// One row an entry.
  public let weight: Parameter

  /// A table without values yet.
  public init(_ count: Int, _ size: Int) { weight = Parameter(count, size) }

  /// The rows named by `indices`.
  public func callAsFunction(_ indices: Tensor) -> Tensor { embedding(weight.value, indices) }
}

/// Normalizes the last axis to mean 0 and variance 1, then scales and shifts it.
public final class LayerNorm: Module {
  /// Scale [D].
  public let weight: Parameter
  /// Shift [D].
  public let bias: Parameter
  private let epsilon: Double

  /// A norm without values yet.
  public init(_ size: Int, epsilon: Double) {
    weight = Parameter(size)
    bias = Parameter(size)
    self.epsilon = epsilon
  }

  /// Input and output […, D], in the input's dtype.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let (scale, shift) = (weight.value.to(x.dtype), bias.value.to(x.dtype))
    return layerNorm(x, weight: scale, bias: shift, epsilon: epsilon)
  }
}

/// Sets elements to zero with a probability in training, and scales the others up.
public struct Dropout: Sendable {
  /// Share of elements that become zero.
  public let probability: Double

  /// A dropout of this probability, 0 ≤ p < 1.
  public init(_ probability: Double) { self.probability = probability }

  /// Drops elements of `x` in training.
  ///
  /// `name` tells the uses within one scope apart.
  public func callAsFunction(_ x: Tensor, _ pass: ForwardPass, _ name: String) -> Tensor {
    guard case (let probability, var stream)? = draws(pass, name) else { return x }
    return dropout(x, probability: probability, stream: &stream)
  }

  /// The probability and the stream of one use, for operations that drop inside; nil if none does.
  public func draws(
    _ pass: ForwardPass, _ name: String
  ) -> (probability: Double, stream: RandomStream)? {
    guard probability > 0, let stream = pass.random?.substream(name) else { return nil }
    return (probability, stream)
  }
}
