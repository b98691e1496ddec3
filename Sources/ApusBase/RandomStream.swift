/// A named, reproducible stream of random numbers: the only source of chance in Apus.
///
/// A stream is a seed and a path, such as `seed 1 / "round" 3 / "client" 17 / "dropout"`. Streams
/// with different paths are independent, and a stream's numbers depend on nothing but its seed
/// and path, so neither the number of workers nor an interruption can change them.
///
/// - Source: Philox-4×32-10, Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
///   SC 2011. The path selects the upper half of the counter, the position the lower half.
public struct RandomStream: RandomNumberGenerator, Sendable, Hashable {
  private let seed: UInt64
  private let path: UInt64
  private var position: UInt64 = 0
  private var spare: UInt64?

  /// The root of all streams of one run.
  public init(seed: UInt64) { self.init(seed: seed, path: 0x243F_6A88_85A3_08D3) }

  private init(seed: UInt64, path: UInt64) {
    self.seed = seed
    self.path = path
  }

  /// The substream called `name`, at its beginning, wherever this stream stands.
  public func substream(_ name: String) -> RandomStream {
    var hash = path ^ 0xCBF2_9CE4_8422_2325
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    return RandomStream(seed: seed, path: Self.mixed(hash))
  }

  /// The substream `name` `index`, such as `substream("client", 17)`.
  public func substream(_ name: String, _ index: Int) -> RandomStream {
    let named = substream(name)
    let step = UInt64(bitPattern: Int64(index)) &* 0x9E37_79B9_7F4A_7C15
    return RandomStream(seed: seed, path: Self.mixed(named.path ^ Self.mixed(step &+ 1)))
  }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    if let ready = spare {
      spare = nil
      return ready
    }
    let block = Self.philox(counter: position, path: path, seed: seed)
    position &+= 1
    spare = block.1
    return block.0
  }

  /// A number drawn uniformly from [0, 1), with 53 random bits.
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// An integer drawn uniformly from 0..<bound, without bias.
  ///
  /// - Precondition: `bound` > 0.
  public mutating func integer(below bound: Int) -> Int {
    let range = UInt64(bound)
    var product = next().multipliedFullWidth(by: range)
    let threshold = (0 &- range) % range
    while product.low < threshold { product = next().multipliedFullWidth(by: range) }
    return Int(product.high)
  }

  /// SplitMix64's finaliser: every input bit moves every output bit.
  private static func mixed(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Ten rounds of Philox over the 128-bit counter (position, path) with the seed as key.
  static func philox(counter: UInt64, path: UInt64, seed: UInt64) -> (UInt64, UInt64) {
    var (c0, c1) = (UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32))
    var (c2, c3) = (UInt32(truncatingIfNeeded: path), UInt32(truncatingIfNeeded: path >> 32))
    var (k0, k1) = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    for _ in 0..<10 {
      let p0 = UInt64(c0) &* 0xD251_1F53
      let p1 = UInt64(c2) &* 0xCD9E_8D57
      (c0, c1, c2, c3) = (
        UInt32(truncatingIfNeeded: p1 >> 32) ^ c1 ^ k0, UInt32(truncatingIfNeeded: p1),
        UInt32(truncatingIfNeeded: p0 >> 32) ^ c3 ^ k1, UInt32(truncatingIfNeeded: p0)
      )
      k0 = k0 &+ 0x9E37_79B9
      k1 = k1 &+ 0xBB67_AE85
    }
    return (UInt64(c0) | UInt64(c1) << 32, UInt64(c2) | UInt64(c3) << 32)
  }
}
