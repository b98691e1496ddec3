internal import ApusBase
internal import CApusTorch

/// What an optimizer keeps for each parameter it has moved, with the value semantics of a struct.
struct OptimizerSlots: Sendable {
  /// What is kept for one parameter.
  struct Slot: Sendable {
    /// Steps taken by this parameter; the first one is 1.
    var step = 0
    var tensors: [String: Tensor] = [:]

    /// The tensor called `name` on the parameter's device, zeros of `shape` at first.
    mutating func tensor(_ name: String, beside parameter: Tensor, shape: [Int]? = nil) -> Tensor {
      let device = parameter.device
      if let known = tensors[name], known.device == device { return known }
      let made =
        tensors[name]?.to(device: device)
        ?? Tensor.zeros(shape ?? parameter.shape, dtype: parameter.dtype, device: device)
      tensors[name] = made
      return made
    }
  }

  /// Held once by each value, so that a value can see whether a copy shares its tensors.
  private final class Owner: Sendable {}

  private var slots: [Int: Slot] = [:]
  private var owner = Owner()

  /// Calls `update` for every parameter that has a gradient, outside of any graph.
  mutating func advance(
    _ parameters: [Tensor], _ gradients: [Tensor?],
    update: (_ parameter: Tensor, _ gradient: Tensor, _ slot: inout Slot) -> Void
  ) {
    precondition(
      parameters.count == gradients.count,
      "\(parameters.count) parameters, \(gradients.count) gradients")
    separateFromCopies()
    withoutGradient {
      for (index, (parameter, gradient)) in zip(parameters, gradients).enumerated() {
        guard let gradient else { continue }
        guard parameter.isDefined, gradient.shape == parameter.shape else {
          apus_error_record(
            "optimizer: parameter \(index) has shape \(parameter.shape), "
              + "its gradient \(gradient.shape)")
          continue
        }
        var slot = slots[index] ?? Slot()
        slot.step += 1
        update(parameter, gradient.to(parameter.dtype), &slot)
        slots[index] = slot
      }
    }
  }

  /// Steps write in place, so tensors that a copy of this value holds too are copied first.
  private mutating func separateFromCopies() {
    guard !isKnownUniquelyReferenced(&owner) else { return }
    owner = Owner()
    slots = slots.mapValues { slot in
      Slot(step: slot.step, tensors: slot.tensors.mapValues { $0.cloned() })
    }
  }

  /// The names that ``Optimizer/state`` promises.
  var state: [String: Tensor] {
    var state: [String: Tensor] = [:]
    for (index, slot) in slots {
      state["\(index).step"] = Tensor([slot.step], shape: [])
      for (name, tensor) in slot.tensors { state["\(index).\(name)"] = tensor.cloned() }
    }
    return state
  }

  /// Replaces everything; each parameter has one of `layouts`, the sets of names beside `step`.
  mutating func restore(
    _ state: [String: Tensor], layouts: [Set<String>]
  ) throws(ApusError) {
    var restored: [Int: Slot] = [:]
    for (key, tensor) in state.sorted(by: { $0.key < $1.key }) {
      let parts = key.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, let index = Int(parts[0]), index >= 0, tensor.isDefined else {
        throw Self.mismatch(key, "it does not belong to a parameter")
      }
      if parts[1] != "step" {
        restored[index, default: Slot()].tensors[String(parts[1])] = tensor.detached().cloned()
      } else {
        guard tensor.count == 1, tensor.dtype == .int64, tensor.intItem > 0 else {
          throw Self.mismatch(key, "it is not a number of steps")
        }
        restored[index, default: Slot()].step = tensor.intItem
      }
    }
    for (index, slot) in restored.sorted(by: { $0.key < $1.key }) {
      let names = Set(slot.tensors.keys)
      guard slot.step > 0, layouts.contains(names) else {
        let expected = layouts.map { "step" + $0.sorted().map { ", \($0)" }.joined() }
        throw Self.mismatch(
          "\(index)",
          "expected \(expected.joined(separator: " or ")), "
            + "found \(names.sorted().joined(separator: ", "))")
      }
    }
    slots = restored
    owner = Owner()
  }

  private static func mismatch(_ key: String, _ problem: String) -> ApusError {
    ApusError(
      .checkpointMismatch, at: "optimizer state, \(key)", problem,
      remedy: "Resume with the optimizer options that the state was saved with")
  }
}
