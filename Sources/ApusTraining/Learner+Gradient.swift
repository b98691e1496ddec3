import ApusBase
public import ApusCore
import ApusTorch

extension Learner {
  /// ∇Fₖ: the gradient of the mean loss over the client's training rows, without dropout.
  ///
  /// - Returns: One tensor for each that trains, zero where the loss does not depend on it.
  /// - Throws: ``ApusError`` `.invalidData` without rows, `.tensorOperation` if the model fails.
  public func gradient() async throws -> NamedTensors {
    let leaves = model.trainables
    var mean: WeightedMean?
    try visit(positions[.train] ?? [], of: rows) { batch, _ in
      let loss = try model.task.loss(rows, batch, random: nil)
      let found = zip(leaves, loss.gradients(by: leaves.map(\.leaf))).map { leaf, gradient in
        (leaf.name, gradient ?? leaf.leaf.zerosLike)
      }
      let gradient = NamedTensors(Dictionary(found) { first, _ in first })
      var sum = mean ?? WeightedMean(like: gradient)
      try sum.absorb(gradient, weight: Double(batch.count), at: "gradient")
      mean = sum
    }
    guard let gradient = mean?.finish() else {
      throw ApusError(
        .invalidData, at: "gradient", "the client has no training rows",
        remedy: "Measure clients with rows")
    }
    return gradient
  }
}
