internal import CApusTorch

/// Where a tensor's elements are and its operations run.
public enum Device: Sendable, Hashable, CustomStringConvertible {
  /// The processor.
  case cpu
  /// An NVIDIA GPU, by its index.
  case cuda(Int)
  /// The GPU of an Apple machine.
  case mps

  /// The fastest device that libtorch and the machine have: CUDA, then MPS, then the processor.
  public static var best: Device {
    if apus_cuda_available() { return .cuda(0) }
    return apus_mps_available() ? .mps : .cpu
  }

  /// Number of CUDA devices that libtorch can use.
  public static var cudaCount: Int { Int(apus_cuda_count()) }

  public var description: String {
    switch self {
    case .cpu: "cpu"
    case .cuda(let index): "cuda:\(index)"
    case .mps: "mps"
    }
  }

  /// Waits until all queued work of the device is done.
  public func synchronize() { apus_synchronize(kind) }

  var kind: apus_device_kind {
    switch self {
    case .cpu: APUS_CPU
    case .cuda: APUS_CUDA
    case .mps: APUS_MPS
    }
  }

  var index: Int32 {
    if case .cuda(let index) = self { Int32(index) } else { 0 }
  }
}
