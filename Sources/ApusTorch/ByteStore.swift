internal import ApusBase
internal import Foundation

/// Memory that holds a whole file, mapped or copied, until its last user is gone.
///
/// Unchecked: the bytes change only through tensors, whose owners see to that.
final class ByteStore: @unchecked Sendable {
  let writable: UnsafeMutableRawBufferPointer
  private let isMapped: Bool

  var all: UnsafeRawBufferPointer { UnsafeRawBufferPointer(writable) }

  /// Copies bytes to an address that is aligned for every element type.
  init(copying bytes: Data) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
    bytes.withUnsafeBytes { copy.copyMemory(from: $0) }
    writable = copy
    isMapped = false
  }

  /// Maps a regular file privately: pages are read when used, writes never reach the file.
  init(mapping url: URL) throws(ApusError) {
    // Non-blocking, or a named pipe would wait for its writer.
    let descriptor = open(url.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Self.unreadable(url, because: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Self.unreadable(url, because: errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw ApusError(
        .fileAccess, at: url.path, "this is not a regular file",
        remedy: "Give the path of a safetensors file")
    }
    let count = Int(status.st_size)
    guard count > 0 else {
      throw ApusError(
        .invalidFile, at: url.path, "the file is empty", remedy: "Download or write it again")
    }
    let address = mmap(
      nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, 0)
    guard let address, address != MAP_FAILED else { throw Self.unreadable(url, because: errno) }
    writable = UnsafeMutableRawBufferPointer(start: address, count: count)
    isMapped = true
  }

  deinit {
    if isMapped { munmap(writable.baseAddress, writable.count) } else { writable.deallocate() }
  }

  private static func unreadable(_ url: URL, because code: Int32) -> ApusError {
    ApusError(
      .fileAccess, at: url.path, "the file cannot be read (\(String(cString: strerror(code))))",
      remedy: "Check that it exists and that you may read it")
  }
}
