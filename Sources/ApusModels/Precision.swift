public import ApusTorch

/// The dtype of frozen weights and activations; trainables are float32 in every case.
public enum Precision: String, Sendable, Hashable, Codable, CaseIterable {
  /// 24 significant bits.
  case float32
  /// 8 significant bits: half the memory, and faster where the processor multiplies it directly.
  case bfloat16

  /// The dtype itself.
  public var dtype: DType {
    switch self {
    case .float32: .float32
    case .bfloat16: .bfloat16
    }
  }
}
