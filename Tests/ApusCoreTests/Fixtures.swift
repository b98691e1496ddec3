import ApusBase
import ApusCore
import ApusTorch
import Testing

/// Requires |a − b| ≤ absolute + relative·|b| for every element, in float64.
func expectClose(
  _ found: Tensor, _ expected: Tensor, absolute: Double, relative: Double, _ name: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard found.isDefined, expected.isDefined, found.shape == expected.shape else {
    Issue.record(
      "\(name): shape \(found.shape), expected \(expected.shape)", sourceLocation: sourceLocation)
    return
  }
  for (index, (a, b)) in zip(found.doubles, expected.doubles).enumerated()
  where !(a == b || abs(a - b) <= absolute + relative * abs(b)) {
    Issue.record("\(name)[\(index)]: \(a), expected \(b)", sourceLocation: sourceLocation)
    return
  }
}

/// The same for tensors by name.
func expectClose(
  _ found: NamedTensors, _ expected: NamedTensors, absolute: Double, relative: Double,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(found.names == expected.names, sourceLocation: sourceLocation)
  for (name, tensor) in found {
    guard let other = expected[name] else { continue }
    expectClose(
      tensor, other, absolute: absolute, relative: relative, name, sourceLocation: sourceLocation)
  }
}

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
