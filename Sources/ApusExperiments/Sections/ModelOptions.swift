public import ApusBase
public import ApusModels
public import ApusTorch

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
  /// How the frozen projections are kept: as they are, in a byte or in four bits an element.
  public var quantization = Quantization.none
  /// Tokens of a text at most, special tokens included.
  public var maxLength = 128
  /// Where the model computes.
  public var device = Place.cpu
  /// Whether blocks are computed again in the backward pass instead of keeping their activations:
  /// less memory, a third more time, the same bits.
  public var activationCheckpointing = false

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
