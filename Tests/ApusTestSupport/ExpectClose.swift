public import ApusCore
public import ApusTorch
public import Testing

/// Requires the same shape, and |a − b| ≤ absolute + relative·|b| for every element, in float64.
///
/// NaN is close to nothing; infinities are close to themselves.
public func expectClose(
  _ found: Tensor, _ expected: Tensor, absolute: Double, relative: Double = 0,
  _ name: String = "tensor", sourceLocation: SourceLocation = #_sourceLocation
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

/// Requires the same names, and of tensors of one name the same shape and close elements.
public func expectClose(
  _ found: NamedTensors, _ expected: NamedTensors, absolute: Double, relative: Double = 0,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard found.names == expected.names else {
    Issue.record(
      "names \(found.names), expected \(expected.names)", sourceLocation: sourceLocation)
    return
  }
  for (name, tensor) in found {
    guard let other = expected[name] else { continue }
    expectClose(
      tensor, other, absolute: absolute, relative: relative, name, sourceLocation: sourceLocation)
  }
}
