import ApusBase
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

  private static let statistics = "/proc/self/statm"

  private func residentBytes() throws -> Int {
    let text = try String(contentsOfFile: Self.statistics, encoding: .utf8)
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    return try #require(pages) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  @Test(.enabled(if: FileManager.default.fileExists(atPath: statistics), "needs /proc"))
  func `a hundred thousand dropped tensors and graphs leave no memory behind`() throws {
    func work(_ count: Int) {
      for _ in 0..<count {
        let x = Tensor.ones([4_096]).requiringGradient()
        let y = customOperation([x]) {
          [x * 2]
        } backward: {
          [$0[0].map { $0 * 2 }]
        }[0]
        _ = y.sum()
      }
    }
    work(1_000)
    let before = try residentBytes()
    work(33_000)
    // Kept, they would be 1.6 GB; other tests run beside this one.
    #expect(try residentBytes() - before < 200_000_000)
    try Tensor.check()
  }
}
