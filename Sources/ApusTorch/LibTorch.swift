internal import CApusTorch
internal import Foundation

/// libtorch as this process uses it.
public enum LibTorch {
  /// Version of the linked libtorch, such as 2.13.0.
  public static var version: String { String(cString: apus_libtorch_version()) }

  /// Number of threads that one operation may use; a setting of the calling thread.
  ///
  /// The bits of a matrix product can depend on it, so Apus keeps it at 1 and runs one worker per
  /// core instead.
  public static var threadsPerOperation: Int {
    get { Int(apus_threads()) }
    set {
      // A thread takes what was last set anywhere when it first asks or computes, so it asks before.
      _ = apus_threads()
      apus_set_threads(Int32(newValue))
    }
  }

  /// Keeps this process from holding memory that it will hardly use again; for programs, at their
  /// beginning, before the first tensor.
  ///
  /// Batches of text differ in size at every step. libtorch's products then compile a kernel for
  /// each size and keep a thousand of them. Few serve as well: the time of a run is the same.
  public static func limitHeldMemory() {
    setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32", 0)  // oneDNN's own
    setenv("LRU_CACHE_CAPACITY", "16", 0)  // that of libtorch's layer above it
  }

  /// Gives memory that is free but held back to the system; between phases, not between steps.
  public static func releaseUnusedMemory() { apus_release_unused_memory() }
}
