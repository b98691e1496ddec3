import ApusBase
import ApusCore
import ApusTorch

/// Numbers drawn from a stream.
func drawn(
  _ shape: [Int], _ stream: inout RandomStream, dtype: DType = .float32
) -> Tensor { Tensor.normal(shape, stream: &stream, dtype: dtype) }

/// One tensor called `x` with these elements.
func vector(_ elements: [Float]) -> NamedTensors {
  NamedTensors(["x": Tensor(elements, shape: [elements.count])])
}

/// Updates with two tensors each, as clients would send them.
func drawnUpdates(_ count: Int, seed: UInt64) -> [NamedTensors] {
  var stream = RandomStream(seed: seed).substream("updates")
  return (0..<count).map { _ in
    NamedTensors(["a": drawn([2, 3], &stream), "b": drawn([4], &stream)])
  }
}

/// Random weights > 0, one for each of `count` clients.
func drawnWeights(_ count: Int, seed: UInt64) -> [Double] {
  var stream = RandomStream(seed: seed).substream("weights")
  return (0..<count).map { _ in Double(1 + stream.integer(below: 500)) }
}
