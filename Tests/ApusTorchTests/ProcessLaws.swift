import ApusBase
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@Suite struct ProcessLaws {
  @Test func `a failure stays on the thread where it happened`() throws {
    final class Finding: @unchecked Sendable {
      // Written before the signal, read after the wait.
      var failed = false
      var thrown = false
    }
    let (finding, done) = (Finding(), DispatchSemaphore(value: 0))
    let thread = Thread {
      _ = matmul(Tensor.ones([2]), Tensor.ones([3]))
      finding.failed = Tensor.hasFailure
      do { try Tensor.check() } catch { finding.thrown = true }
      done.signal()
    }
    #expect(!Tensor.hasFailure)
    thread.start()
    done.wait()
    #expect(finding.failed)
    #expect(finding.thrown)
    #expect(!Tensor.hasFailure)
    try Tensor.check()
  }

  @Test func `a hundred thousand dropped tensors and graphs leave no memory behind`() async {
    await #expect(processExitsWith: .success) {
      var before = 0
      for round in 0..<34_000 {
        if round == 1_000 { before = ProcessMemory.resident }
        let x = Tensor.ones([4_096]).requiringGradient()
        let y = customOperation([x]) {
          [x * 2]
        } backward: {
          [$0[0].map { $0 * 2 }]
        }[0]
        _ = y.sum()
      }
      // Kept, they would be 1.6 GB.
      #expect(ProcessMemory.resident - before < 50_000_000)
      try Tensor.check()
    }
  }
}
