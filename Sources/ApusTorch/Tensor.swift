public import ApusBase
internal import CApusTorch

/// An array of numbers of one type on one device, with as many axes as its shape has entries.
///
/// A value over a shared handle: copying a `Tensor` copies no elements, and nothing writes into a
/// tensor except the few functions called `…InPlace`, for owners of accumulators and parameters.
///
/// A failing operation does not throw. It gives an undefined tensor, on which all later operations
/// fail too, and the first message stays with the thread until ``check(_:)`` throws it.
public struct Tensor: Sendable {
  let handle: Handle

  /// Owner of one libtorch handle; releases it when the last copy of the tensor is gone.
  ///
  /// Unchecked: libtorch counts references atomically, and Apus writes in place only into
  /// tensors that one owner holds.
  final class Handle: @unchecked Sendable {
    let raw: apus_tensor?

    init(_ raw: apus_tensor?) { self.raw = raw }

    deinit { if let raw { apus_release(raw) } }
  }

  init(_ raw: apus_tensor?) { handle = Handle(raw) }

  var raw: apus_tensor? { handle.raw }

  /// Throws this thread's first recorded failure, if there is one, and forgets it.
  ///
  /// - Parameter place: What was being computed, for the error's location.
  /// - Throws: ``ApusError`` `.tensorOperation` with libtorch's own message.
  public static func check(_ place: @autoclosure () -> String = "tensor") throws(ApusError) {
    guard apus_error_pending() else { return }
    var buffer = [CChar](repeating: 0, count: 2_048)
    _ = apus_error_take(&buffer, buffer.count)
    let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let message = String(decoding: bytes, as: UTF8.self)
    let firstLine = message.split(separator: "\n").first.map(String.init) ?? message
    throw ApusError(
      .tensorOperation, at: place(), firstLine.trimmingDot,
      remedy: firstLine.contains("out of memory")
        ? "Use a smaller batch or a device with more memory"
        : "Check the shapes and dtypes that were given")
  }

  /// Whether an operation on this thread has failed since the last ``check(_:)``.
  public static var hasFailure: Bool { apus_error_pending() }

  /// Whether there are elements at all: false after a failed operation.
  public var isDefined: Bool { raw != nil }

  /// Length of each axis.
  public var shape: [Int] {
    guard raw != nil else { return [] }
    var sizes = [Int64](repeating: 0, count: rank)
    apus_shape(raw, &sizes)
    return sizes.map { Int($0) }
  }

  /// Number of axes.
  public var rank: Int { raw == nil ? 0 : Int(apus_rank(raw)) }

  /// Number of elements.
  public var count: Int { raw == nil ? 0 : Int(apus_count(raw)) }

  /// Bytes of all elements.
  public var byteCount: Int { count * dtype.byteCount }

  /// Type of the elements; float32 for an undefined tensor.
  public var dtype: DType { raw == nil ? .float32 : DType(raw: apus_dtype_of(raw)) ?? .float32 }

  /// Where the elements are.
  public var device: Device {
    guard raw != nil else { return .cpu }
    switch apus_device_kind_of(raw) {
    case Int32(APUS_CUDA.rawValue): return .cuda(Int(apus_device_index_of(raw)))
    case Int32(APUS_MPS.rawValue): return .mps
    default: return .cpu
    }
  }

  /// Whether the elements lie in memory in the order of the shape, without gaps.
  public var isContiguous: Bool { raw != nil && apus_is_contiguous(raw) }

  /// The length of axis `dim`; negative values count from the end.
  public func size(_ dim: Int) -> Int {
    let shape = shape
    let axis = dim < 0 ? dim + shape.count : dim
    return shape.indices.contains(axis) ? shape[axis] : 0
  }
}

extension String {
  /// The text without white space and full stops at its end.
  fileprivate var trimmingDot: String {
    var text = Substring(self)
    while let last = text.last, last == "." || last.isWhitespace { text.removeLast() }
    return String(text)
  }
}
