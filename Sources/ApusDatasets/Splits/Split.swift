public import ApusBase

/// Which shares of the examples are kept from training; the rest trains.
public struct SplitFractions: Hashable, Codable, Sendable {
  /// Share for choosing hyper-parameters, in 0..<1.
  public var validation = 0.0
  /// Share for the final measurement, in 0..<1.
  public var test = 0.0

  public init(validation: Double = 0, test: Double = 0) {
    self.validation = validation
    self.test = test
  }

  /// Decodes the shares; one that is not given is 0.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    validation = try fields.decodeIfPresent(Double.self, forKey: .validation) ?? validation
    test = try fields.decodeIfPresent(Double.self, forKey: .test) ?? test
  }

  /// Checks the shares.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` if one is outside 0..<1 or nothing is left to train.
  func validate() throws(ApusError) {
    for (name, value) in [("validation", validation), ("test", test)] {
      guard value >= 0, value < 1 else {
        throw ApusError(
          .invalidConfig, at: "split, \(name)", "\(value) is not a share in 0..<1",
          remedy: "Use a share such as 0.1")
      }
    }
    guard validation + test < 1 else {
      throw ApusError(
        .invalidConfig, at: "split",
        "validation \(validation) and test \(test) leave nothing to train on",
        remedy: "Lower the shares so that they sum to less than 1")
    }
  }
}

/// Positions for training, validation and test, without common members, in increasing order.
public struct Split: Hashable, Codable, Sendable {
  /// Positions to train on.
  public let train: [Int]
  /// Positions for choosing hyper-parameters.
  public let validation: [Int]
  /// Positions for the final measurement.
  public let test: [Int]
}

extension Dataset {
  /// Splits examples at random, keeping the mix of classes in each part as well as rounding lets.
  ///
  /// A part whose share is above zero gets at least one example as long as there are enough for
  /// all parts; a single example trains. Without labels the split is plainly random.
  ///
  /// - Parameters:
  ///   - positions: The examples to split; nil for all.
  ///   - fractions: Shares of validation and test.
  ///   - random: Source of all chance.
  /// - Returns: The parts; together they are exactly `positions`.
  /// - Throws: ``ApusError`` `.invalidConfig` if the shares are out of range.
  public func split(
    _ positions: [Int]? = nil, fractions: SplitFractions, random: RandomStream
  ) throws(ApusError) -> Split {
    try fractions.validate()
    var random = random
    let positions = positions ?? Array(0..<count)
    let byClass = Dictionary(grouping: positions) { examples[$0].label ?? 0 }
    var groups = byClass.sorted { $0.key < $1.key }.map { random.shuffled($0.value) }
    let sizes = Self.partSizes(of: positions.count, fractions)
    let test = Self.draw(sizes.test, from: &groups)
    let validation = Self.draw(sizes.validation, from: &groups)
    return Split(
      train: groups.flatMap(\.self).sorted(), validation: validation.sorted(), test: test.sorted())
  }

  private static func partSizes(
    of count: Int, _ fractions: SplitFractions
  ) -> (validation: Int, test: Int) {
    let weights = [1 - fractions.validation - fractions.test, fractions.validation, fractions.test]
    var sizes = Apportionment.parts(of: count, weights: weights)
    for part in weights.indices where sizes[part] == 0 && weights[part] > 0 {
      let largest = sizes.indices.max { sizes[$0] < sizes[$1] } ?? 0
      let isTraining = part == 0
      guard sizes[largest] > 1 || (isTraining && sizes[largest] == 1) else { continue }
      sizes[largest] -= 1
      sizes[part] += 1
    }
    return (sizes[1], sizes[2])
  }

  /// Takes `count` examples from the ends of the groups, in proportion to the group sizes.
  private static func draw(_ count: Int, from groups: inout [[Int]]) -> [Int] {
    let parts = Apportionment.parts(of: count, weights: groups.map { Double($0.count) })
    var drawn: [Int] = []
    for (group, size) in parts.enumerated() {
      drawn += groups[group].suffix(size)
      groups[group].removeLast(size)
    }
    return drawn
  }
}
