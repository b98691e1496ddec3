internal import CApusTorch

extension Tensor {
  /// Cut off from the graph: the same numbers, of which no gradient flows back.
  public func detached() -> Tensor { Tensor(apus_detach(raw)) }

  /// A leaf of the graph: a copy of the handle for which gradients can be asked.
  public func requiringGradient() -> Tensor {
    let leaf = detached()
    if leaf.isDefined { apus_set_requires_grad(leaf.raw, true) }
    return leaf
  }

  /// Lets gradients of a leaf be asked, or not: one that is frozen for a while costs no gradient.
  public func requireGradientInPlace(_ isRequired: Bool) {
    apus_set_requires_grad(raw, isRequired)
  }

  /// Whether gradients flow through this tensor.
  public var requiresGradient: Bool { raw != nil && apus_requires_grad(raw) }

  /// Gradients of this scalar by each of `inputs`; nil where it does not depend on one.
  ///
  /// - Parameters:
  ///   - inputs: Leaves or intermediate results of this tensor's graph.
  ///   - keepGraph: Whether the graph can be used once more.
  ///   - createGraph: Whether the gradients themselves can be differentiated.
  /// - Returns: One entry for each input, of its shape.
  public func gradients(
    by inputs: [Tensor], keepGraph: Bool = false, createGraph: Bool = false
  ) -> [Tensor?] {
    Tensor.gradients(
      of: [self], seeds: [nil], by: inputs, keepGraph: keepGraph, createGraph: createGraph)
  }

  /// Vector–Jacobian products: gradients of Σ ⟨outputᵢ, seedᵢ⟩; a nil seed means 1 for a scalar.
  public static func gradients(
    of outputs: [Tensor], seeds: [Tensor?], by inputs: [Tensor], keepGraph: Bool = false,
    createGraph: Bool = false
  ) -> [Tensor?] {
    precondition(
      outputs.count == seeds.count, "\(outputs.count) outputs, \(seeds.count) seeds")
    var found = [apus_tensor?](repeating: nil, count: inputs.count)
    let done = apus_gradients(
      outputs.map(\.raw), seeds.map { $0?.raw }, Int64(outputs.count), inputs.map(\.raw),
      Int64(inputs.count), keepGraph || createGraph, createGraph, &found)
    return found.map { done ? $0.map { Tensor($0) } : nil }
  }
}

/// Runs `body` without recording a graph on this thread.
public func withoutGradient<Result>(_ body: () throws -> Result) rethrows -> Result {
  try withGradientMode(false, body)
}

/// Runs `body` recording a graph on this thread, also inside ``withoutGradient(_:)``.
public func withGradient<Result>(_ body: () throws -> Result) rethrows -> Result {
  try withGradientMode(true, body)
}

/// Whether operations on this thread record a graph now.
public var isRecordingGradient: Bool { apus_grad_mode() }

private func withGradientMode<Result>(_ on: Bool, _ body: () throws -> Result) rethrows -> Result {
  let former = apus_set_grad_mode(on)
  defer { _ = apus_set_grad_mode(former) }
  return try body()
}

/// An operation with a backward of its own, for where the recorded one costs time or memory.
///
/// - Parameters:
///   - inputs: Everything that may get a gradient.
///   - forward: Computes the outputs; runs without a graph. It may return an input, a view of one
///     or a constant; these stay as they are.
///   - backward: From the outputs' gradients (nil: none) to the inputs' (nil: none), in order. It
///     may use the inputs and what it captures, never the outputs themselves (a cycle that would
///     not be freed). Under `createGraph` it is recorded like any other code.
/// - Returns: The outputs, on the graph if an input is.
public func customOperation(
  _ inputs: [Tensor], forward: () -> [Tensor],
  backward: @escaping @Sendable ([Tensor?]) -> [Tensor?]
) -> [Tensor] {
  // Detached, or an output that is an input or a constant would itself be put on the graph.
  let outputs = withoutGradient(forward).map { $0.detached() }
  guard inputs.contains(where: \.requiresGradient), apus_grad_mode() else { return outputs }
  let context = Unmanaged.passRetained(BackwardBox(backward)).toOpaque()
  apus_attach_backward(
    outputs.map(\.raw), Int64(outputs.count), inputs.map(\.raw), Int64(inputs.count), context,
    runBackward,
    { if let context = $0 { Unmanaged<BackwardBox>.fromOpaque(context).release() } })
  return outputs
}

/// Carries a backward closure through C.
private final class BackwardBox: Sendable {
  let run: @Sendable ([Tensor?]) -> [Tensor?]
  init(_ run: @escaping @Sendable ([Tensor?]) -> [Tensor?]) { self.run = run }
}

/// Called by libtorch: borrows the outputs' gradients, hands over the inputs'.
private func runBackward(
  context: UnsafeMutableRawPointer?, given: UnsafePointer<apus_tensor?>?, givenCount: Int64,
  made: UnsafeMutablePointer<apus_tensor?>?, madeCount: Int64
) -> Bool {
  guard let context, let given, let made else { return false }
  let box = Unmanaged<BackwardBox>.fromOpaque(context).takeUnretainedValue()
  let gradients = (0..<Int(givenCount)).map { index in
    given[index].map { Tensor(apus_retain($0)) }
  }
  let results = box.run(gradients)
  guard results.count == Int(madeCount), !apus_error_pending() else { return false }
  for (index, result) in results.enumerated() {
    guard let result else { continue }
    // The C side releases what it gets, so it gets a handle of its own.
    made[index] = apus_retain(result.raw)
  }
  return !apus_error_pending()
}
