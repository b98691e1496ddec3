import ApusTorch
import Foundation

/// A task executor with one thread of its own, which does nothing but its jobs, in order.
///
/// libtorch keeps its settings and its recorded failures for each thread, so a worker's tasks may
/// not wander between threads.
final class WorkerThread: TaskExecutor {
  private let queue: JobQueue

  /// Starts the thread.
  ///
  /// - Parameters:
  ///   - name: Shown by debuggers.
  ///   - threadsPerOperation: Threads that one tensor operation may use.
  init(name: String, threadsPerOperation: Int) {
    let queue = JobQueue()
    self.queue = queue
    let thread = Thread {
      LibTorch.threadsPerOperation = threadsPerOperation
      while let job = queue.next() { job() }
    }
    thread.name = name
    thread.stackSize = 16 << 20  // autograd recurses; threads get less than the main one
    thread.start()
  }

  deinit { queue.close() }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let executor = asUnownedTaskExecutor()
    queue.add { job.runSynchronously(on: executor) }
  }
}

/// Runs work with tensors as a worker of a run would: on one thread, with libtorch's settings of
/// that worker, so that it gives the same bits on machines of any number of cores.
///
/// - Parameters:
///   - threadsPerOperation: Threads of one tensor operation, ≥ 1.
///   - place: What the work is, for the error.
///   - body: The work.
/// - Returns: What `body` returns.
/// - Throws: What `body` throws; ``ApusError`` `.tensorOperation` if libtorch refused an operation.
public func onWorkerThread<Result: Sendable>(
  threadsPerOperation: Int, _ place: String, _ body: @Sendable () async throws -> Result
) async throws -> Result {
  let thread = WorkerThread(name: "apus \(place)", threadsPerOperation: threadsPerOperation)
  return try await withTaskExecutorPreference(thread) {
    let result = try await body()
    try Tensor.check(place)
    return result
  }
}

/// Jobs in the order of their arrival.
///
/// Unchecked: all state is read and written under the condition's lock.
private final class JobQueue: @unchecked Sendable {
  private let condition = NSCondition()
  private var jobs: [@Sendable () -> Void] = []
  private var isClosed = false

  func add(_ job: @escaping @Sendable () -> Void) {
    condition.withLock {
      jobs.append(job)
      condition.signal()
    }
  }

  /// The next job; nil once the queue is closed and empty.
  func next() -> (@Sendable () -> Void)? {
    condition.withLock {
      while jobs.isEmpty, !isClosed { condition.wait() }
      return jobs.isEmpty ? nil : jobs.removeFirst()
    }
  }

  func close() {
    condition.withLock {
      isClosed = true
      condition.signal()
    }
  }
}
