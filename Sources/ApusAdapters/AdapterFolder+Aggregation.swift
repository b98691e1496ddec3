internal import ApusBase
public import ApusCore
internal import ApusTorch

extension AdapterFolder {
  /// The LoRA factors of the folder, site by site, each with its own scaling.
  ///
  /// - Throws: ``ApusError`` `.unsupported` if the adapter is no plain LoRA, `.checkpointMismatch` if
  ///   a factor has no partner of its rank.
  public var factorPairs: [FactorPair] {
    get throws(ApusError) {
      guard configuration.kind == .lora else {
        throw ApusError(
          .unsupported, at: "adapter_config.json",
          "the adapter is of the kind \(configuration.kind.rawValue), no plain LoRA",
          remedy: "Aggregate adapters that are products of two factors")
      }
      let alphas = try PatternTable(configuration.alphaPattern, at: "alpha_pattern")
      var pairs: [FactorPair] = []
      for name in tensors.names where name.hasSuffix(Self.suffixA) {
        let stem = String(name.dropLast(Self.suffixA.count))
        let path = String(stem.dropFirst(AdaptedModel.prefix.count))
        var pair = FactorPair(site: path, a: name, b: stem + Self.suffixB, scaling: 1)
        guard let rank = tensors.rank(of: pair) else {
          throw ApusError(
            .checkpointMismatch, at: "adapter_model.safetensors, \(name)",
            "the factor has no partner of its rank", remedy: "Take both files from one training")
        }
        let divisor = configuration.useRSLoRA ? Double(rank).squareRoot() : Double(rank)
        let scaling = (alphas[path] ?? configuration.alpha) / divisor
        pair = FactorPair(site: path, a: pair.a, b: pair.b, scaling: scaling)
        pairs.append(pair)
      }
      return pairs
    }
  }

  private static let suffixA = ".lora_A.weight"
  private static let suffixB = ".lora_B.weight"

  /// The folder with other tensors: a server's global model, a base delta in the factors.
  ///
  /// - Parameters:
  ///   - global: Trainable tensors, and a base delta beside them.
  ///   - pairs: The sites with the scaling that goes with the factors.
  /// - Returns: One LoRA of as high a rank as it takes; ranks and alphas are stated site by site.
  public func holding(_ global: NamedTensors, _ pairs: [FactorPair]) -> AdapterFolder {
    let delta = BaseDelta(in: global)
    var folder = self
    folder.tensors = global.withoutBaseDelta
    var ranks: [(path: String, rank: Int, scaling: Double)] = []
    for pair in pairs {
      guard let a = global[pair.a], let b = global[pair.b] else { continue }
      guard let shape = delta.shape(of: pair.site) else {
        ranks.append((pair.site, a.size(0), pair.scaling))
        continue
      }
      let stacked = StackedLoRA.factors(
        of: FactoredSum(b: b, a: a, weight: pair.scaling), beside: delta, at: pair.site,
        shape: shape)
      (folder.tensors[pair.a], folder.tensors[pair.b]) = (stacked.a, stacked.b)
      ranks.append((pair.site, stacked.a.size(0), 1))
    }
    folder.configuration = configuration.stating(ranks)
    return folder
  }
}
