internal import ApusBase
internal import ApusTorch
internal import Foundation

/// Matrices that bitsandbytes packed, as transformers stores them in a checkpoint.
///
/// Beside `…weight` lie, in eight bits, the rows' largest elements `…SCB`; in four bits, the blocks'
/// largest elements, what the codes stand for, and a JSON text with sizes. The blocks' elements
/// may be packed once more.
///
/// - Source: transformers 5.23, `integrations/bitsandbytes.py`; the format of `QuantState` in
///   bitsandbytes 0.4x.
struct BitsAndBytes {
  private let stored: ShardedSafetensors
  private let names: Set<String>
  private let dtype: DType
  private let device: Device

  private static let state = ".quant_state.bitsandbytes__"

  /// The packed matrices of a checkpoint, to be unpacked to this type there.
  init(_ stored: ShardedSafetensors, dtype: DType, device: Device) {
    self.stored = stored
    self.dtype = dtype
    self.device = device
    names = Set(stored.names)
  }

  /// Whether a tensor only says how another is to be read.
  func isAuxiliary(_ name: String) -> Bool {
    let endings = [".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"]
    return name.hasSuffix(".SCB") || name.hasSuffix(".weight_format") || name.contains(Self.state)
      || endings.contains { name.hasSuffix($0) && names.contains(String(name.dropLast($0.count))) }
  }

  /// A packed matrix; nil for a tensor that is none.
  ///
  /// - Throws: ``ApusError`` `.invalidFile` if its parts do not fit together, `.unsupported` if its
  ///   elements are in the order of one kind of accelerator.
  func matrix(_ name: String) throws(ApusError) -> (any PackedMatrix)? {
    if name.hasSuffix(".weight"), names.contains("\(name.dropLast(7)).SCB") {
      let largest = try stored.tensor("\(name.dropLast(7)).SCB").to(.float32)
      let codes = try stored.tensor(name)
      guard codes.dtype == .int8, codes.rank == 2, largest.count == codes.size(0) else {
        throw broken(name)
      }
      try requireRows("\(name.dropLast(7)).weight_format")
      return Int8Matrix(
        codes: codes.to(device: device),
        scales: (largest.reshaped([-1, 1]) / 127).to(device: device), dtype: dtype)
    }
    guard names.contains("\(name).absmax"),
      let state = names.first(where: { $0.hasPrefix(name + Self.state) })
    else { return nil }
    return try fourBits(name, state: state)
  }

  /// Refuses a matrix that does not lie row after row; where nothing is said, it does.
  private func requireRows(_ format: String) throws(ApusError) {
    guard names.contains(format), try stored.tensor(format).ints != [0] else { return }
    throw ApusError(
      .unsupported, at: format, "the elements do not lie row after row",
      remedy: "Save the checkpoint again with a bitsandbytes that stores rows")
  }

  private func fourBits(
    _ name: String, state: String
  ) throws(ApusError) -> any PackedMatrix {
    let text = try stored.tensor(state).ints.map { UInt8(truncatingIfNeeded: $0) }
    let json = try JSONNode(parsing: Data(text), file: state)
    var shape: [Int] = []
    for length in try json["shape"].array() {
      shape.append(try length.size(upTo: 1 << 30))
    }
    guard shape.count == 2 else { throw broken(name) }
    let blockSize = try json["blocksize"].size(upTo: 1 << 20)
    var scales = try stored.tensor("\(name).absmax").floats
    if json["nested_offset"].exists {
      let map = try stored.tensor("\(name).nested_quant_map").floats
      let groups = try stored.tensor("\(name).nested_absmax").floats
      let groupSize = try json["nested_blocksize"].size(upTo: 1 << 20)
      let offset = Float(try json["nested_offset"].double())
      let codes = try stored.tensor("\(name).absmax").ints
      guard map.count == 256, groups.count * groupSize >= scales.count else { throw broken(name) }
      scales = codes.enumerated().map { place, code in
        map[min(max(code, 0), 255)] * groups[place / groupSize] + offset
      }
    }
    let codes = try stored.tensor(name).ints.map { UInt8(truncatingIfNeeded: $0) }
    let matrix = NF4Matrix(
      codes: codes, scales: scales, values: try stored.tensor("\(name).quant_map").floats,
      blockSize: blockSize, shape: shape, dtype: dtype, device: device)
    guard let matrix else { throw broken(name) }
    return matrix
  }

  private func broken(_ name: String) -> ApusError {
    ApusError(
      .invalidFile, at: name, "the parts of the packed matrix do not fit together",
      remedy: "Take the weights from the checkpoint's source once more")
  }
}
