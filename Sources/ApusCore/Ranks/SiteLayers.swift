/// Which block of a model each adapted projection lies in; block 0 is nearest to the input.
///
/// Sites share a block if their paths agree up to the first number, as `encoder.layer.3.attention`
/// and `encoder.layer.3.output` do; a path without a number is a block of its own. Blocks are counted
/// in the order of the model.
public struct SiteLayers: Sendable {
  /// Block of each site, by module path.
  public let indices: [String: Int]
  /// L, the number of blocks.
  public let count: Int

  /// Sorts sites, in the order of the model, into blocks.
  public init(_ pairs: [FactorPair]) {
    var (indices, blocks): ([String: Int], [String: Int]) = ([:], [:])
    for pair in pairs {
      let parts = pair.site.split(separator: ".")
      let end = parts.firstIndex { Int($0) != nil }.map { $0 + 1 } ?? parts.count
      let block = parts[..<end].joined(separator: ".")
      indices[pair.site] = blocks[block] ?? blocks.count
      blocks[block] = blocks[block] ?? blocks.count
    }
    (self.indices, count) = (indices, blocks.count)
  }

  /// The number of the block in the model that a module path names first; nil if it names none.
  public static func block(of site: String) -> Int? {
    site.split(separator: ".").lazy.compactMap { Int($0) }.first
  }

  /// The block of a site.
  public subscript(pair: FactorPair) -> Int { indices[pair.site] ?? 0 }
}
