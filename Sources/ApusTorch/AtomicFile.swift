internal import ApusBase
internal import Foundation

/// A file under construction beside the one it will replace; gone unless it is committed.
final class AtomicFile {
  private let target: URL
  private let draft: URL
  private var descriptor: Int32

  /// Opens a draft in the folder of `url`, so that renaming stays within one file system.
  init(replacing url: URL) throws(ApusError) {
    target = url
    draft = url.deletingLastPathComponent()
      .appendingPathComponent(".\(url.lastPathComponent).\(UUID().uuidString)")
    descriptor = open(draft.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure() }
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(draft.path)
  }

  /// Appends bytes.
  func write(_ bytes: Data) throws(ApusError) {
    guard bytes.withUnsafeBytes(append) else { throw failure() }
  }

  /// Appends bytes.
  func write(_ bytes: UnsafeRawBufferPointer) throws(ApusError) {
    guard append(bytes) else { throw failure() }
  }

  private func append(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let slice = UnsafeRawBufferPointer(rebasing: rest)
      let written = Foundation.write(descriptor, slice.baseAddress, slice.count)
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { return false }
      rest = rest.dropFirst(written)
    }
    return true
  }

  /// Brings everything to the disk and puts the file in its place.
  func commit() throws(ApusError) {
    guard fsync(descriptor) == 0, rename(draft.path, target.path) == 0 else { throw failure() }
    close(descriptor)
    descriptor = -1
    // The new name is durable once the folder is; a folder that cannot be synced is still correct.
    let folder = open(target.deletingLastPathComponent().path, O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { return }
    _ = fsync(folder)
    close(folder)
  }

  private func failure() -> ApusError {
    ApusError(
      .fileAccess, at: target.path,
      "the file cannot be written (\(String(cString: strerror(errno))))",
      remedy: "Check that its folder exists, that you may write there and that space is left")
  }
}
