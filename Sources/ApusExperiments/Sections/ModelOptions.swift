public import ApusBase
public import ApusModels
import ApusTorch

/// Section `model`: the backbone and how it is used.
public struct ModelOptions: OptionGroup, Equatable {
  /// Where the model computes.
  public enum Place: String, Codable, Sendable, CaseIterable {
    case cpu
    case cuda
    case mps
    /// The fastest there is.
    case best
  }

  /// A checkpoint folder, a name in the Hugging Face cache, or `all-MiniLM-L6-v2`.
  public var checkpoint = "all-MiniLM-L6-v2"
  /// How token vectors become one; nothing for what the checkpoint says.
  public var pooling: Pooling?
  /// Dtype of frozen weights and activations; trainables are float32 always.
  public var precision = Precision.float32
  /// Tokens of a text at most, special tokens included.
  public var maxLength = 128
  /// Where the model computes.
  public var device = Place.cpu

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      maxLength >= 4, "max-length", "\(maxLength) leaves no room for text",
      remedy: "Give a number ≥ 4")
  }

  /// The device; throws if the machine or libtorch does not have it.
  func resolvedDevice() throws(ApusError) -> Device {
    let best = Device.best
    switch device {
    case .cpu: return .cpu
    case .best: return best
    case .cuda:
      try require(
        Device.cudaCount > 0, "model.device", "libtorch finds no CUDA device",
        remedy: "Use \"best\" or \"cpu\", or install the CUDA build of libtorch")
      return .cuda(0)
    case .mps:
      try require(
        best == .mps, "model.device", "libtorch finds no MPS device",
        remedy: "Use \"best\" or \"cpu\"")
      return .mps
    }
  }
}
