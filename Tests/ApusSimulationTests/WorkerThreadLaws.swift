import ApusBase
import ApusSimulation
import ApusTorch
import Testing

/// Work with tensors that is done once, where a worker of a run would do it.
@Suite struct WorkerThreadLaws {
  @Test(arguments: [1, 3])
  func `libtorch has the threads that were asked for, from the first to the last step`(
    threads: Int
  ) async throws {
    let seen = try await onWorkerThread(threadsPerOperation: threads, "work") {
      let first = LibTorch.threadsPerOperation
      await Task.yield()
      return [first, LibTorch.threadsPerOperation]
    }
    #expect(seen == [threads, threads])
  }

  @Test func `what another thread sets before this one has computed anything changes nothing`()
    async throws
  {
    let seen = try await onWorkerThread(threadsPerOperation: 3, "work") {
      try await onWorkerThread(threadsPerOperation: 1, "other work") {}
      return LibTorch.threadsPerOperation
    }
    #expect(seen == 3)
  }

  @Test func `what failed in it is an error of it, also where the result is none`() async throws {
    let error = await #expect(throws: ApusError.self) {
      try await onWorkerThread(threadsPerOperation: 1, "work") {
        _ = matmul(Tensor.ones([2, 3]), Tensor.ones([2, 3]))
      }
    }
    #expect(error?.code == .tensorOperation && error?.location == "work")
    #expect(try await onWorkerThread(threadsPerOperation: 1, "work") { 5 } == 5)
  }
}
