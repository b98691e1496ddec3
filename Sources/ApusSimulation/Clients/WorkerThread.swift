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
