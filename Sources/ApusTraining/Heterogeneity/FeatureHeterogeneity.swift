public import ApusBase
public import ApusTorch

/// How different the clients' rows look to a frozen encoder.
///
/// Two clients may hold the same classes and still write, photograph or measure differently. A
/// selection of rows of each client stands for all of them; distances between small samples are
/// above zero even for equal clients, so read them beside those of an even partition.
public struct FeatureHeterogeneity: Hashable, Sendable {
  /// Mean over pairs of clients of the Fréchet distance between Gaussians of their features:
  /// ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½).
  public let meanFrechetDistance: Double
  /// Mean over pairs of clients of the squared maximum mean discrepancy, unbiased, with a Gaussian
  /// kernel as wide as the median distance between rows; about 0 for equal clients.
  public let meanDiscrepancy: Double
  /// CNIₖ of each client: ‖(mean of a class here − mean elsewhere) / σ of all‖₂, averaged over the
  /// classes that it shares with others; nil if it shares none.
  public let nonIIDIndices: [Double?]
  /// Share of rows whose client a linear classifier finds, fitted on half of the rows and measured
  /// on the others.
  public let domainAccuracy: Double
  /// The same if it always guessed the largest client.
  public let domainChance: Double

  /// Mean of ``nonIIDIndices``.
  public var meanNonIIDIndex: Double {
    let known = nonIIDIndices.compactMap(\.self)
    return known.isEmpty ? 0 : known.reduce(0, +) / Double(known.count)
  }

  /// Measures clients.
  ///
  /// - Parameters:
  ///   - features: What the encoder makes of each client's rows, each [nₖ, D], nₖ ≥ 2.
  ///   - labels: The class of each of these rows.
  /// - Throws: ``ApusError`` `.invalidData` for fewer than two clients or clients of one row,
  ///   `.tensorOperation` if a decomposition fails.
  /// - Complexity: O(K²n²D) for K clients with n rows.
  /// - Source: CNI as in Li et al., LotteryFL, arXiv 2008.03371, without its last mean.
  public init(features: [Tensor], labels: [[Int]]) throws(ApusError) {
    guard features.count >= 2, features.allSatisfy({ $0.rank == 2 && $0.size(0) >= 2 }) else {
      throw ApusError(
        .invalidData, at: "features of clients",
        "at least two clients with two rows each are needed",
        remedy: "Measure a partition with more clients, or with more rows for each")
    }
    let features = features.map { $0.to(.float64) }
    let samples = features.map(GaussianSample.init)
    meanFrechetDistance = Self.meanOverPairs(features.count) {
      samples[$0].frechetDistance(to: samples[$1])
    }
    let kernel = KernelMeans(features)
    meanDiscrepancy = Self.meanOverPairs(features.count, kernel.discrepancy)
    nonIIDIndices = ClassShift(features, labels).indices
    (domainAccuracy, domainChance) = DomainClassifier.accuracy(features)
    try Tensor.check("features of clients")
  }

  private static func meanOverPairs(_ count: Int, _ distance: (Int, Int) -> Double) -> Double {
    var sum = 0.0
    for first in 0..<count {
      for second in (first + 1)..<count { sum += distance(first, second) }
    }
    return sum / Double(count * (count - 1) / 2)
  }
}

/// Rows as a Gaussian: their mean, and their deviations in place of a covariance.
///
/// With X the centred rows over √n, Σ = XᵀX, and tr (Σ₁Σ₂)^½ is the sum of the singular values of
/// X₁X₂ᵀ [n₁, n₂], so no D×D root is taken.
private struct GaussianSample {
  let mean: Tensor
  let deviations: Tensor

  init(_ rows: Tensor) {
    mean = rows.mean([0])
    deviations = (rows - mean) / Double(rows.size(0)).squareRoot()
  }

  func frechetDistance(to other: GaussianSample) -> Double {
    let shift = mean - other.mean
    let cross = svd(matmul(deviations, other.deviations.matrixTransposed)).s
    let spread = (deviations * deviations).sum() + (other.deviations * other.deviations).sum()
    return Swift.max(0, ((shift * shift).sum() + spread - cross.sum() * 2).item)
  }
}
