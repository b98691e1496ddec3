public import ApusBase
internal import ApusTorch

/// The running mean ū = Σ wₖuₖ / Σ wₖ of tensors by name, the server step of FedAvg.
///
/// Sums are float64 and engines absorb in client order, so the result has the same bits in every
/// run, and the mean of one update is that update. Memory is that of one update in float64,
/// whatever the number of updates.
///
/// - Source: McMahan et al., arXiv 1602.05629, Algorithm 1, last line of the server loop.
public struct WeightedMean: Sendable {
  private let expected: NamedTensors
  private var sums: [[Double]] = []
  private var totalWeight = 0.0

  /// Number of updates in the mean.
  public private(set) var count = 0

  /// A mean of updates that have these names and shapes.
  public init(like expected: NamedTensors) { self.expected = expected }

  /// Adds one update.
  ///
  /// - Parameters:
  ///   - update: uₖ; float32 after conversion.
  ///   - weight: wₖ ≥ 0; usually nₖ.
  ///   - place: Round and client, for errors.
  /// - Throws: ``ApusError`` `.shapeMismatch` or `.nonFinite`; the mean is then as before.
  /// - Complexity: O(P) for P elements; the update is not kept.
  public mutating func absorb(
    _ update: NamedTensors, weight: Double, at place: String
  ) throws(ApusError) {
    guard weight >= 0, weight.isFinite else {
      throw ApusError(
        .invalidMessage, at: place, "the weight \(weight) is not a number ≥ 0",
        remedy: "Send the number of training rows")
    }
    try update.requireShapes(of: expected, at: place)
    // Before the check, since a finite float64 may be too large for float32.
    let values = update.mapValues { $0.to(.float32) }
    if let name = values.first(where: { !Self.isFinite($0.tensor) })?.name {
      throw ApusError(
        .nonFinite, at: "\(place), \(name)", "the update holds NaN or infinity",
        remedy: "Lower the learning rate or set clip-norm")
    }
    // −0 is the zero of addition that keeps an update's −0.
    if sums.isEmpty { sums = expected.map { [Double](repeating: -0.0, count: $0.tensor.count) } }
    for (index, entry) in values.enumerated() {
      entry.tensor.withUnsafeBytes { bytes in
        add(bytes.bindMemory(to: Float.self), weight, to: index)
      }
    }
    totalWeight += weight
    count += 1
  }

  /// The mean, as float32, after which a new one starts; nil if no update has weight.
  public mutating func finish() -> NamedTensors? {
    defer { self = WeightedMean(like: expected) }
    guard totalWeight > 0 else { return nil }
    var result: [String: Tensor] = [:]
    for (index, entry) in expected.enumerated() {
      let mean = sums[index].map { Float($0 / totalWeight) }
      result[entry.name] = Tensor(mean, shape: entry.tensor.shape)
    }
    return NamedTensors(result)
  }

  /// Whether no element is NaN or infinite: none has all bits of its exponent set.
  private static func isFinite(_ tensor: Tensor) -> Bool {
    tensor.withUnsafeBytes { bytes in
      var found: UInt32 = 0
      for bits in bytes.bindMemory(to: UInt32.self) {
        found |= (bits & 0x7F80_0000) == 0x7F80_0000 ? 1 : 0
      }
      return found == 0
    }
  }

  /// sum += weight · values, in one pass that the compiler turns into vector instructions.
  private mutating func add(_ values: UnsafeBufferPointer<Float>, _ weight: Double, to index: Int) {
    sums[index].withUnsafeMutableBufferPointer { sum in
      for place in 0..<min(sum.count, values.count) {
        sum[place] += weight * Double(values[place])
      }
    }
  }
}
