import ApusBase
import ApusCore
import ApusTorch
import Foundation

/// What adapters change of the model: s·B·A by site, in float64.
///
/// - Parameters:
///   - tensors: The factors; what `beside` is given for may be missing.
///   - beside: Tensors that a message leaves out, such as a frozen factor.
///   - scaling: s.
/// - Returns: One matrix [d_out, d_in] per site of the toy.
func products(
  _ tensors: NamedTensors, beside: NamedTensors = NamedTensors(),
  scaling: Double = ToyTrainer.scaling
) -> NamedTensors {
  let all = beside.merging(tensors)
  var products: [String: Tensor] = [:]
  for pair in ToyTrainer.pairs {
    guard let a = all[pair.a], let b = all[pair.b] else { continue }
    products[pair.site] = matmul(b.to(.float64), a.to(.float64)) * scaling
  }
  return NamedTensors(products)
}

/// Normal numbers of the same names and shapes, each drawn from a stream of its name.
func drawn(like tensors: NamedTensors, seed: UInt64, deviation: Double = 1) -> NamedTensors {
  var drawn = tensors
  for (name, tensor) in tensors {
    var stream = RandomStream(seed: seed).substream(name)
    drawn[name] = .normal(tensor.shape, deviation: deviation, stream: &stream)
  }
  return drawn
}

/// Σ pₖ·tensorsₖ by name, in float64.
func combined(_ terms: [(share: Double, tensors: NamedTensors)]) -> NamedTensors {
  var sums: [String: Tensor] = [:]
  for term in terms {
    for (name, tensor) in term.tensors {
      let part = tensor.to(.float64) * term.share
      sums[name] = sums[name].map { $0 + part } ?? part
    }
  }
  return NamedTensors(sums)
}

extension ToyFederation {
  /// The shares pₖ of the three clients with 4, 7 and 10 rows.
  static let shares = [4.0 / 21, 7.0 / 21, 10.0 / 21]

  /// The clients' last updates with their shares.
  func sharedUpdates() -> [(share: Double, tensors: NamedTensors)] {
    updates.sorted { $0.key < $1.key }.map { (Self.shares[$0.key], $0.value.tensors) }
  }

  /// Two epochs of SGD without momentum, clipping or decay.
  static var plain: LocalTraining {
    var training = training
    training.optimizer.kind = .sgd
    training.schedule = .constant
    training.clipNorm = 0
    return training
  }
}

extension Message {
  /// Bytes of the tensors alone, without the header.
  func payloadCount() throws -> Int {
    let bytes = try encoded()
    let header = bytes.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
    return bytes.count - 8 - header
  }
}
