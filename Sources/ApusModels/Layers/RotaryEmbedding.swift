internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// Positions as rotations of queries and keys, so that scores depend on distances.
///
/// Feature i of the first half of a head's rotated features turns together with feature i of the
/// second half by position · frequencyᵢ; features behind the rotated ones stay.
///
/// - Shapes: T rows, n heads, d head size, R ≤ d rotated features.
/// - Source: Su et al., arXiv 2104.09864, eq. 34; the scalings as transformers computes them,
///   `modeling_rope_utils.py`.
struct RotaryEmbedding: Sendable {
  /// Turns of one position in radians [R / 2].
  let frequencies: [Double]
  private let headSize: Int

  /// Reads base and scaling of the frequencies from `config.json`.
  ///
  /// - Parameters:
  ///   - config: Has `rope_parameters`, or `rope_theta` and `rope_scaling` as older files do.
  ///   - headSize: d.
  ///   - base: θ where none is stated.
  /// - Throws: ``ApusError`` `.unsupported` for a scaling that Apus does not have, `.invalidFile` for
  ///   missing or impossible numbers.
  init(_ config: JSONNode, headSize: Int, base: Double = 10_000) throws(ApusError) {
    let modern = config["rope_parameters"]
    let scaling = modern.exists ? modern : config["rope_scaling"]
    let node = scaling["rope_theta"].exists ? scaling["rope_theta"] : config["rope_theta"]
    let theta = try node.number(in: 1...1e12, default: base)
    let partial = try (scaling["partial_rotary_factor"].exists ? scaling : config)[
      "partial_rotary_factor"
    ].number(in: 0...1, default: 1)
    let rotated = Int(Double(headSize) * partial)
    guard rotated >= 2, rotated.isMultiple(of: 2) else {
      throw config["head_dim"].error(
        "\(rotated) features of a head cannot turn in pairs",
        remedy: "Take config.json from the checkpoint's source")
    }
    // In float32, as the reference has them: far positions multiply the last bits.
    let exponents = Tensor.range(0, rotated, step: 2, dtype: .float32) / Double(rotated)
    let plain = (1 / Tensor.full([rotated / 2], theta).power(exponents)).doubles
    self.headSize = headSize
    let type = scaling["rope_type"].exists ? scaling["rope_type"] : scaling["type"]
    switch type.exists ? try type.string() : "default" {
    case "default": frequencies = plain
    case "linear":
      let factor = try scaling["factor"].positive()
      frequencies = plain.map { $0 / factor }
    case "llama3": frequencies = try Self.stretched(plain, scaling, config)
    case let other:
      throw ApusError(
        .unsupported, at: type.place, "there is no scaling of positions \"\(other)\"",
        remedy: Spelling.remedy(for: other, allowed: ["default", "linear", "llama3"]))
    }
  }

  /// LLaMA 3.1: slow turns become slower by a factor, fast ones stay, with a ramp between.
  private static func stretched(
    _ plain: [Double], _ scaling: JSONNode, _ config: JSONNode
  ) throws(ApusError) -> [Double] {
    let factor = try scaling["factor"].positive()
    let low = try scaling["low_freq_factor"].positive()
    let high = try scaling["high_freq_factor"].positive()
    let stated = scaling["original_max_position_embeddings"]
    let length = try (stated.exists ? stated : config["max_position_embeddings"]).positive()
    return plain.map { frequency in
      let turns = length * frequency / (2 * .pi)
      if turns > high { return frequency }
      if turns < low { return frequency / factor }
      let share = (turns - low) / (high - low)
      return (1 - share) * frequency / factor + share * frequency
    }
  }

  /// The rotations of rows at these positions [T].
  func table(_ positions: Tensor) -> Table {
    let turns = Tensor(frequencies.map { Float($0) }, shape: [1, frequencies.count])
      .to(device: positions.device)
    let angles = (positions.to(.float32).unsqueezed(1) * turns).unsqueezed(1)  // [T, 1, R / 2]
    return Table(cosines: cos(angles), sines: sin(angles), headSize: headSize)
  }

  /// Cosines and sines of the rows of one pass.
  struct Table: Sendable {
    fileprivate let cosines: Tensor
    fileprivate let sines: Tensor
    fileprivate let headSize: Int

    /// Rows [T, n·d] in float32 to the same, with every head turned by its row's position.
    func callAsFunction(_ rows: Tensor) -> Tensor {
      let table = self
      return customOperation([rows]) {
        [table.turned(rows, backwards: false)]
      } backward: { gradients in
        [gradients[0].map { table.turned($0, backwards: true) }]
      }[0]
    }

    /// Turning back is the transpose of turning.
    private func turned(_ rows: Tensor, backwards: Bool) -> Tensor {
      let half = cosines.size(2)
      let heads = rows.reshaped([rows.size(0), -1, headSize])
      let first = heads.sliced(2, 0..<half)
      let second = heads.sliced(2, half..<(2 * half))
      let rest = heads.sliced(2, (2 * half)..<headSize)
      let sines = backwards ? -sines : sines
      let parts = [first * cosines - second * sines, second * cosines + first * sines, rest]
      return concatenated(parts, dim: 2).reshaped(rows.shape)
    }
  }
}

extension JSONNode {
  /// A number above zero.
  fileprivate func positive() throws(ApusError) -> Double {
    let value = try double()
    guard value > 0, value.isFinite else {
      throw error("\(value) is not above zero", remedy: "Take config.json from the source")
    }
    return value
  }
}
