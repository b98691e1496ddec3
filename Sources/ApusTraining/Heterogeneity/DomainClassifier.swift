import ApusTorch

/// A linear classifier that says from whom a row comes.
enum DomainClassifier {
  /// Strength of the ridge relative to the mean square of a feature.
  private static let ridge = 1e-2

  /// Fits on every second row of each client and measures on the others.
  ///
  /// The fit is ridge regression onto one column for each client, on standardized features.
  ///
  /// - Parameter features: Rows of each client [nₖ, D], nₖ ≥ 2, float64.
  /// - Returns: The accuracy, and that of always guessing the client with most rows.
  static func accuracy(_ features: [Tensor]) -> (accuracy: Double, chance: Double) {
    let (train, trainClients) = half(features, from: 0)
    let (test, testClients) = half(features, from: 1)
    let mean = train.mean([0])
    let scale = (train.variance([0], correction: 0) + 1e-12).power(-0.5)
    let x = (train - mean) * scale
    let y = Tensor(trainClients, shape: [trainClients.count]).oneHot(classes: features.count)
      .to(.float64)
    let penalty = identity(x.size(1)) * (ridge * Double(x.size(0)))
    let weight = solve(
      matmul(x.matrixTransposed, x) + penalty, matmul(x.matrixTransposed, y - y.mean([0])))
    let guesses = (matmul((test - mean) * scale, weight) + y.mean([0])).argmax(1).ints
    let right = zip(guesses, testClients).count { $0 == $1 }
    let largest = features.indices.map { client in testClients.count { $0 == client } }.max() ?? 0
    let count = Double(testClients.count)
    return (Double(right) / count, Double(largest) / count)
  }

  private static func identity(_ size: Int) -> Tensor {
    Tensor(Array(0..<size), shape: [size]).oneHot(classes: size).to(.float64)
  }

  private static func half(_ features: [Tensor], from start: Int) -> (Tensor, [Int]) {
    let parts = features.map { $0.sliced(0, start..<$0.size(0), step: 2) }
    let clients = parts.enumerated().flatMap { Array(repeating: $0, count: $1.size(0)) }
    return (concatenated(parts), clients)
  }
}
