/// The scales of a packed matrix's blocks.
enum BlockScales: Sendable {
  /// Centred, in eight bits, with a scale of their own for each group.
  case packed(codes: [Int8], groups: [Float], centre: Float)
  /// As they are.
  case plain([Float])

  private static let groupSize = 256

  /// Packs scales ≥ 0.
  init(packing scales: [Float]) {
    let centre = scales.isEmpty ? 0 : scales.reduce(0, +) / Float(scales.count)
    var codes: [Int8] = []
    var groups: [Float] = []
    for start in stride(from: 0, to: scales.count, by: Self.groupSize) {
      let own = scales[start..<min(start + Self.groupSize, scales.count)].map { $0 - centre }
      let scale = (own.map(\.magnitude).max() ?? 0) / 127
      groups.append(scale)
      codes += own.map { scale > 0 ? Int8(max(-127, min(127, ($0 / scale).rounded()))) : 0 }
    }
    self = .packed(codes: codes, groups: groups, centre: centre)
  }

  /// One number ≥ 0 a block.
  var unpacked: [Float] {
    switch self {
    case .plain(let scales): scales
    case .packed(let codes, let groups, let centre):
      codes.enumerated().map { max(0, Float($1) * groups[$0 / Self.groupSize] + centre) }
    }
  }

  /// Bytes that they take.
  var byteCount: Int {
    switch self {
    case .plain(let scales): scales.count * MemoryLayout<Float>.size
    case .packed(let codes, let groups, _):
      codes.count + (groups.count + 1) * MemoryLayout<Float>.size
    }
  }
}
