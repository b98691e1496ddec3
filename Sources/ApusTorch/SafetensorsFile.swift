public import ApusBase
public import Foundation

/// One safetensors file; its tensors are views of the mapped (or given) bytes.
///
/// Opening reads the header alone and checks all of it; elements are read from disk when they are
/// used. All views of one tensor share memory: clone before writing in place. What is written into
/// a view never reaches the file.
public struct SafetensorsFile: Sendable {
  /// Text that the writer left beside the tensors.
  public var metadata: [String: String] { header.metadata }
  /// Names of all tensors, sorted.
  public let names: [String]

  private let header: SafetensorsHeader
  private let bytes: ByteStore
  private let name: String

  /// Maps a file into memory; the mapping lives as long as any tensor of it.
  ///
  /// The file must not be shortened meanwhile: replace it by renaming, as ``Safetensors`` does.
  ///
  /// - Parameter url: A regular file.
  /// - Throws: ``ApusError`` `.fileAccess` if it cannot be read, `.invalidFile` if it is malformed,
  ///   `.unsupported` if a tensor has a type that Apus does not have.
  public init(contentsOf url: URL) throws(ApusError) {
    try self.init(ByteStore(mapping: url), name: url.path)
  }

  /// Reads a file's bytes from memory, copying them once.
  ///
  /// - Parameters:
  ///   - bytes: The whole file, such as the body of a message.
  ///   - name: Stands for the file's name in errors.
  /// - Throws: ``ApusError`` `.invalidFile` or `.unsupported`, as for a file.
  public init(decoding bytes: Data, name: String) throws(ApusError) {
    try self.init(ByteStore(copying: bytes), name: name)
  }

  private init(_ bytes: ByteStore, name: String) throws(ApusError) {
    header = try SafetensorsHeader(parsing: bytes.all, name: name)
    names = header.entries.keys.sorted()
    self.bytes = bytes
    self.name = name
  }

  /// Lengths of a tensor's axes; nil if there is no such tensor.
  public func shape(of name: String) -> [Int]? { header.entries[name]?.shape }

  /// Type of a tensor's elements; nil if there is no such tensor.
  public func dtype(of name: String) -> DType? { header.entries[name]?.dtype }

  /// A view of one tensor; a copy only if its bytes are not aligned for its type.
  ///
  /// - Throws: ``ApusError`` `.checkpointMismatch` if there is no such tensor, `.invalidFile` if a
  ///   truth value is neither 0 nor 1.
  public func tensor(_ name: String) throws(ApusError) -> Tensor {
    guard let entry = header.entries[name] else {
      throw ApusError(
        .checkpointMismatch, at: self.name, "there is no tensor \"\(name)\"",
        remedy: Safetensors.remedy(for: name, in: names))
    }
    let start = header.dataStart + entry.range.lowerBound
    let elements = UnsafeMutableRawBufferPointer(
      rebasing: bytes.writable[start..<(start + entry.range.count)])
    if entry.dtype == .bool, elements.contains(where: { $0 > 1 }) {
      throw ApusError(
        .invalidFile, at: "\(self.name), tensor \"\(name)\"", "a truth value is neither 0 nor 1",
        remedy: "Download or write the file again; it is damaged")
    }
    let tensor = view(of: elements, entry)
    if !tensor.isDefined { try Tensor.check("\(self.name), tensor \"\(name)\"") }
    return tensor
  }

  private func view(
    of elements: UnsafeMutableRawBufferPointer, _ entry: SafetensorsHeader.Entry
  ) -> Tensor {
    guard let address = elements.baseAddress, !elements.isEmpty else {
      return Tensor.empty(entry.shape, dtype: entry.dtype)
    }
    guard Int(bitPattern: address).isMultiple(of: entry.dtype.byteCount) else {
      return Tensor(
        bytes: UnsafeRawBufferPointer(elements), shape: entry.shape, dtype: entry.dtype)
    }
    return Tensor(wrapping: address, shape: entry.shape, dtype: entry.dtype, owner: bytes)
  }
}
