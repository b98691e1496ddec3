import ApusBase
import Foundation

/// Keeps a second process out of a run's folder for as long as this value lives.
///
/// The lock belongs to the open file, so it goes with the process, however that ends.
final class RunLock: Sendable {
  private let descriptor: Int32

  /// Takes the lock of a folder.
  ///
  /// - Throws: ``ApusError`` `.runState` if a living process has it, `.fileAccess` if the lock
  ///   file cannot be made.
  init(folder: URL) throws(ApusError) {
    let path = folder.appendingPathComponent("lock").path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw .cannotWrite(path, errno) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      var bytes = [UInt8](repeating: 0, count: 32)
      let count = max(0, read(descriptor, &bytes, bytes.count))
      let owner = String(decoding: bytes.prefix(count), as: UTF8.self)
      close(descriptor)
      throw ApusError(
        .runState, at: folder.path, "the run is in use by process \(owner)",
        remedy: "Wait until it ends, or give this run another name")
    }
    let owner = "\(ProcessInfo.processInfo.processIdentifier)"
    _ = ftruncate(descriptor, 0)
    _ = pwrite(descriptor, owner, owner.utf8.count, 0)
  }

  deinit {
    // Closing is not enough while a process that is being started still has its copy.
    flock(descriptor, LOCK_UN)
    close(descriptor)
  }
}

extension ApusError {
  /// A file or folder that cannot be written, with the system's reason.
  static func cannotWrite(_ path: String, _ reason: Int32) -> ApusError {
    ApusError(
      .fileAccess, at: path, "it cannot be written (\(String(cString: strerror(reason))))",
      remedy: "Check that you may write there and that space is left")
  }
}
