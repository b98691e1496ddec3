/// A matrix of four bits an element, in blocks whose scales are bytes themselves.
///
/// The sixteen values are quantiles of the normal distribution, so that weights drawn from one use
/// them all. Scales of 64 elements are centred and kept in eight bits, with one float32 for 256 of
/// them; these eight bits count evenly, where QLoRA has an eight-bit float.
///
/// - Source: Dettmers et al., arXiv 2305.14314, §3 and appendix E.
public struct NF4Matrix: PackedMatrix {
  public let shape: [Int]
  public let dtype: DType
  private let device: Device
  /// Two elements a byte, the first in its upper half.
  private let codes: [UInt8]
  /// One a block.
  private let scaleCodes: [Int8]
  /// One for ``scalesPerGroup`` blocks.
  private let groupScales: [Float]
  /// The mean of all blocks' scales.
  private let centre: Float

  private static let blockSize = 64
  private static let scalesPerGroup = 256
  /// Quantiles of the normal distribution, scaled to −1…1, with an exact zero.
  private static let values: [Float] = [
    -1, -0.696_192_8, -0.525_073_05, -0.394_917_5, -0.284_441_38, -0.184_773_43, -0.091_050_036,
    0, 0.079_580_3, 0.160_930_2, 0.246_112_3, 0.337_915_24, 0.440_709_83, 0.562_617, 0.722_956_84,
    1,
  ]

  /// Packs a matrix [d_out, d_in].
  public init(_ matrix: Tensor) {
    shape = matrix.shape
    dtype = matrix.dtype
    device = matrix.device
    let elements = matrix.detached().floats
    let blockCount = (elements.count + Self.blockSize - 1) / Self.blockSize
    var largest = [Float](repeating: 0, count: blockCount)
    for (place, element) in elements.enumerated() {
      largest[place / Self.blockSize] = max(largest[place / Self.blockSize], abs(element))
    }
    let packed = Self.packedScales(largest)
    (scaleCodes, groupScales, centre) = packed
    let scales = Self.scales(packed.codes, packed.groups, packed.centre)
    let midpoints = zip(Self.values, Self.values.dropFirst()).map { ($0 + $1) / 2 }
    var codes = [UInt8](repeating: 0, count: (elements.count + 1) / 2)
    for (place, element) in elements.enumerated() {
      let scale = scales[place / Self.blockSize]
      let share = scale > 0 ? element / scale : 0
      var (low, high) = (0, midpoints.count)  // the number of midpoints below the share
      while low < high {
        let middle = (low + high) / 2
        if share > midpoints[middle] { low = middle + 1 } else { high = middle }
      }
      codes[place / 2] |= place.isMultiple(of: 2) ? UInt8(low) << 4 : UInt8(low)
    }
    self.codes = codes
  }

  public var byteCount: Int {
    codes.count + scaleCodes.count + (groupScales.count + 1) * MemoryLayout<Float>.size
  }

  private static func packedScales(
    _ largest: [Float]
  ) -> (codes: [Int8], groups: [Float], centre: Float) {
    let centre = largest.isEmpty ? 0 : largest.reduce(0, +) / Float(largest.count)
    var codes: [Int8] = []
    var groups: [Float] = []
    for start in stride(from: 0, to: largest.count, by: scalesPerGroup) {
      let own = largest[start..<min(start + scalesPerGroup, largest.count)].map { $0 - centre }
      let scale = (own.map(\.magnitude).max() ?? 0) / 127
      groups.append(scale)
      codes += own.map { scale > 0 ? Int8(max(-127, min(127, ($0 / scale).rounded()))) : 0 }
    }
    return (codes, groups, centre)
  }

  private static func scales(_ codes: [Int8], _ groups: [Float], _ centre: Float) -> [Float] {
    codes.enumerated().map { max(0, Float($1) * groups[$0 / scalesPerGroup] + centre) }
  }

  public func unpacked(_ dtype: DType) -> Tensor {
    let isNarrow = dtype == .bfloat16
    let result = Tensor.empty(shape, dtype: isNarrow ? .bfloat16 : .float32)
    let count = shape.reduce(1, *)
    let scales = Self.scales(scaleCodes, groupScales, centre)
    result.withMutableBytes { target in
      codes.withUnsafeBufferPointer { codes in
        isNarrow
          ? Self.fill(target.bindMemory(to: UInt16.self), count, codes, scales) {
            // The nearest bfloat16, halves to even.
            let bits = $0.bitPattern
            return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
          }
          : Self.fill(target.bindMemory(to: Float.self), count, codes, scales) { $0 }
      }
    }
    return result.to(dtype, device: device)
  }

  /// Writes a block at a time: sixteen products, then a look-up for each element.
  private static func fill<Element>(
    _ target: UnsafeMutableBufferPointer<Element>, _ count: Int,
    _ codes: UnsafeBufferPointer<UInt8>, _ scales: [Float], _ convert: (Float) -> Element
  ) {
    for (block, scale) in scales.enumerated() {
      let table = values.map { convert($0 * scale) }
      let places = (block * blockSize)..<min((block + 1) * blockSize, count)
      table.withUnsafeBufferPointer { table in
        for place in places {
          let byte = codes[place >> 1]
          target[place] = table[Int(place & 1 == 0 ? byte >> 4 : byte & 15)]
        }
      }
    }
  }
}
