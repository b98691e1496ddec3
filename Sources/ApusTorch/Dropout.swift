public import ApusBase

/// Zero with this probability, else scaled so that the expectation stays: dropout in training.
///
/// On the processor the mask is never stored: forward and backward draw it again from the same
/// seed, in one pass over the elements, which costs a fraction of drawing with libtorch.
///
/// - Parameters:
///   - x: Any shape; float32 and bfloat16 take the fast way.
///   - probability: Share that becomes zero, 0 < p < 1; counts to 31 bits.
///   - stream: Gives the mask's seed, and moves on.
/// - Returns: A fresh tensor of the same shape and dtype.
public func dropout(_ x: Tensor, probability: Double, stream: inout RandomStream) -> Tensor {
  guard x.device == .cpu, [.float32, .bfloat16].contains(x.dtype), x.isContiguous else {
    let kept = 1 - probability
    let mask = Tensor.bernoulli(
      x.shape, probability: kept, stream: &stream, dtype: x.dtype, device: x.device)
    return x * (mask / kept)
  }
  return DropoutMask(probability: probability, seed: stream.next()).applied(to: x)
}

/// A mask that is drawn whenever it is used: element n depends on seed and n alone.
///
/// Plain loops over pointers, which the compiler turns into vector instructions.
///
/// - Source: the two multiplications and three shifts of Wellons, "Prospecting for hash
///   functions", 2018 (lowbias32), over n plus one half of the seed, with the other half between.
private struct DropoutMask: Sendable {
  private let threshold: Int32
  private let scale: Float
  private let low: UInt32
  private let high: UInt32

  init(probability: Double, seed: UInt64) {
    threshold = Int32(probability * 0x1p31)
    scale = Float(0x1p31 / (0x1p31 - Double(threshold)))
    low = UInt32(truncatingIfNeeded: seed)
    high = UInt32(truncatingIfNeeded: seed >> 32)
  }

  /// x times the mask: linear in x, so its own backward.
  func applied(to x: Tensor) -> Tensor {
    customOperation([x]) {
      let result = Tensor.empty(x.shape, dtype: x.dtype)
      result.withMutableBytes { target in
        x.withUnsafeBytes { x.dtype == .float32 ? fillFloats($0, target) : fillBrains($0, target) }
      }
      return [result]
    } backward: { gradients in
      [gradients[0].map { applied(to: $0.contiguous()) }]
    }[0]
  }

  private func fillFloats(
    _ source: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer
  ) {
    let (from, to) = (source.bindMemory(to: UInt32.self), target.bindMemory(to: Float.self))
    for place in 0..<min(from.count, to.count) {
      let kept = from[place] & keptBits(place)
      to[place] = Float(bitPattern: kept) * scale
    }
  }

  /// A bfloat16 is the upper half of a float32; the product is rounded to it, halves to even.
  private func fillBrains(
    _ source: UnsafeRawBufferPointer, _ target: UnsafeMutableRawBufferPointer
  ) {
    let (from, to) = (source.bindMemory(to: UInt16.self), target.bindMemory(to: UInt16.self))
    for place in 0..<min(from.count, to.count) {
      let kept = (UInt32(from[place]) << 16) & keptBits(place)
      let bits = (Float(bitPattern: kept) * scale).bitPattern
      to[place] = UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
    }
  }

  /// All ones for an element that stays, zero for one that is dropped.
  @inline(__always)
  private func keptBits(_ place: Int) -> UInt32 {
    var bits = UInt32(truncatingIfNeeded: place) &+ low
    bits = (bits ^ (bits >> 16)) &* 0x7FEB_352D ^ high
    bits = (bits ^ (bits >> 15)) &* 0x846C_A68B
    bits ^= bits >> 16
    // The difference is negative, and its sign fills the word, if the draw is below.
    return ~UInt32(bitPattern: (Int32(bitPattern: bits >> 1) &- threshold) >> 31)
  }
}
