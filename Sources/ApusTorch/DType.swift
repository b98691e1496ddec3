internal import CApusTorch

/// The type of a tensor's elements.
public enum DType: String, Sendable, Hashable, CaseIterable {
  /// IEEE 754, 32 bits: trainables, optimizer state and sums.
  case float32
  /// IEEE 754, 16 bits.
  case float16
  /// The upper half of a float32.
  case bfloat16
  /// IEEE 754, 64 bits: checks of gradients.
  case float64
  /// Signed, 64 bits: token ids and indices.
  case int64
  /// Signed, 32 bits.
  case int32
  /// Signed, 16 bits.
  case int16
  /// Signed, 8 bits.
  case int8
  /// Unsigned, 8 bits.
  case uint8
  /// True or false, one byte each.
  case bool

  /// Bytes of one element.
  public var byteCount: Int {
    switch self {
    case .float64, .int64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16, .int16: 2
    case .int8, .uint8, .bool: 1
    }
  }

  /// Bytes of a tensor of this shape; nil if a length is negative or an integer overflows.
  func byteCount(of shape: [Int]) -> Int? {
    var bytes = byteCount
    for length in shape {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: length)
      guard length >= 0, !overflow else { return nil }
      bytes = product
    }
    return bytes
  }

  /// Whether the elements are fractions; only these can have gradients.
  public var isFloatingPoint: Bool {
    switch self {
    case .float32, .float16, .bfloat16, .float64: true
    default: false
    }
  }

  var raw: apus_dtype {
    switch self {
    case .float32: APUS_F32
    case .float16: APUS_F16
    case .bfloat16: APUS_BF16
    case .float64: APUS_F64
    case .int64: APUS_I64
    case .int32: APUS_I32
    case .int16: APUS_I16
    case .int8: APUS_I8
    case .uint8: APUS_U8
    case .bool: APUS_BOOL
    }
  }

  private static let byRaw: [UInt32: DType] = Dictionary(
    uniqueKeysWithValues: allCases.map { ($0.raw.rawValue, $0) })

  init?(raw: Int32) {
    guard raw >= 0, let dtype = Self.byRaw[UInt32(raw)] else { return nil }
    self = dtype
  }
}
