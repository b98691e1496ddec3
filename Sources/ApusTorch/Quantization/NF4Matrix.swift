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
  /// What the sixteen codes stand for.
  private let values: [Float]
  /// Elements that share a scale.
  private let blockSize: Int
  private let scales: BlockScales

  /// Quantiles of the normal distribution, scaled to −1…1, with an exact zero.
  private static let quantiles: [Float] = [
    -1, -0.696_192_8, -0.525_073_05, -0.394_917_5, -0.284_441_38, -0.184_773_43, -0.091_050_036,
    0, 0.079_580_3, 0.160_930_2, 0.246_112_3, 0.337_915_24, 0.440_709_83, 0.562_617, 0.722_956_84,
    1,
  ]

  /// Packs a matrix [d_out, d_in].
  public init(_ matrix: Tensor) {
    shape = matrix.shape
    dtype = matrix.dtype
    device = matrix.device
    blockSize = 64
    values = Self.quantiles
    let elements = matrix.detached().floats
    let blockCount = (elements.count + blockSize - 1) / blockSize
    var largest = [Float](repeating: 0, count: blockCount)
    for (place, element) in elements.enumerated() {
      largest[place / blockSize] = max(largest[place / blockSize], abs(element))
    }
    let packed = BlockScales(packing: largest)
    self.scales = packed
    let scales = packed.unpacked
    let midpoints = zip(values, values.dropFirst()).map { ($0 + $1) / 2 }
    var codes = [UInt8](repeating: 0, count: (elements.count + 1) / 2)
    for (place, element) in elements.enumerated() {
      let scale = scales[place / blockSize]
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

  /// A matrix that was packed elsewhere; nil if codes, scales and values do not fit the shape.
  ///
  /// - Parameters:
  ///   - codes: Two elements a byte, row by row, the first in its upper half.
  ///   - scales: One for each block.
  ///   - values: What the sixteen codes stand for, times their block's scale.
  ///   - blockSize: Elements that share a scale.
  ///   - shape: [d_out, d_in].
  ///   - dtype: The type that the elements had.
  ///   - device: Where unpacked elements go.
  public init?(
    codes: [UInt8], scales: [Float], values: [Float], blockSize: Int, shape: [Int], dtype: DType,
    device: Device
  ) {
    let count = shape.reduce(1, *)
    guard blockSize > 0, values.count == 16, codes.count == (count + 1) / 2,
      scales.count == (count + blockSize - 1) / blockSize
    else { return nil }
    self.shape = shape
    self.dtype = dtype
    self.codes = codes
    self.values = values
    self.blockSize = blockSize
    self.scales = .plain(scales)
    self.device = device
  }

  public var byteCount: Int { codes.count + scales.byteCount }

  public func unpacked(_ dtype: DType) -> Tensor {
    let isNarrow = dtype == .bfloat16
    let result = Tensor.empty(shape, dtype: isNarrow ? .bfloat16 : .float32)
    let count = shape.reduce(1, *)
    let scales = scales.unpacked
    result.withMutableBytes { target in
      codes.withUnsafeBufferPointer { codes in
        isNarrow
          ? fill(target.bindMemory(to: UInt16.self), count, codes, scales) {
            // The nearest bfloat16, halves to even.
            let bits = $0.bitPattern
            return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
          }
          : fill(target.bindMemory(to: Float.self), count, codes, scales) { $0 }
      }
    }
    return result.to(dtype, device: device)
  }

  /// Writes a block at a time: sixteen products, then a look-up for each element.
  private func fill<Element>(
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
