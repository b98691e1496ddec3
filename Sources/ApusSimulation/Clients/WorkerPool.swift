/// Hands workers out, one user at a time, and lets the others wait in order.
actor WorkerPool<Worker: Sendable> {
  private var free: [Worker]
  private var waiting: [CheckedContinuation<Worker, Never>] = []

  init(_ workers: [Worker]) { free = workers }

  /// Runs `body` with a worker that nobody else has meanwhile.
  nonisolated func withWorker<Result: Sendable>(
    _ body: (Worker) async throws -> Result
  ) async throws -> Result {
    let worker = await take()
    do {
      let result = try await body(worker)
      await put(worker)
      return result
    } catch {
      await put(worker)
      throw error
    }
  }

  private func take() async -> Worker {
    if let worker = free.popLast() { return worker }
    return await withCheckedContinuation { waiting.append($0) }
  }

  private func put(_ worker: Worker) {
    guard !waiting.isEmpty else { return free.append(worker) }
    waiting.removeFirst().resume(returning: worker)
  }
}
