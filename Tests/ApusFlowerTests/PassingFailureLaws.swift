import ApusBase
import Foundation
import Testing

@testable import ApusFlower

/// Answers of a proxy whose server is out of reach for now: 502, 503 and 504.
@Suite struct PassingFailureLaws {
  private let link = TestLink()

  /// Calls that take something away, which a second one would not get again.
  private static let once: [(name: String, call: @Sendable (TaskSession) async throws -> Void)] = [
    ("pull-task-input", { _ = try await $0.input() }),
    ("pull-messages", { _ = try await $0.messages() }),
    ("acquire-task", { _ = try await $0.api.acquireTask("flwr-clientapp") }),
  ]

  @Test(arguments: [502, 503, 504], 0..<3)
  func `a call that may not be repeated is not, as if nobody had answered`(
    status: Int, index: Int
  ) async throws {
    let (name, call) = Self.once[index]
    await link.set { $0.refusals[name] = [status] }
    let session = try await testSession(link)
    let error = await #expect(throws: ApusError.self) { try await call(session) }
    #expect(error?.code == .runState && error?.isPassingRefusal == true)
    #expect(await link.calls.count { $0 == name } == 1)
  }

  @Test func `a call with a number of attempts has no more of them`() async throws {
    await link.set { $0.refusals["push-task-output"] = Array(repeating: 503, count: 9) }
    let session = try await testSession(link)
    let error = await #expect(throws: ApusError.self) {
      try await session.finish("completed", context: Flwr_Proto_Context())
    }
    #expect(error?.code == .runState)
    #expect(await link.calls.count { $0 == "push-task-output" } == 3)
  }

  @Test func `a call without one goes on`() async throws {
    await link.set { $0.refusals["get-nodes"] = Array(repeating: 503, count: 9) }
    #expect(try await testSession(link).nodes().isEmpty)
    #expect(await link.calls.count { $0 == "get-nodes" } == 10)
  }

  @Test func `a refusal that lasts is none that passes`() async throws {
    await link.set { $0.refusals["get-nodes"] = [401] }
    let session = try await testSession(link)
    let refusal = await #expect(throws: RuntimeRefusal.self) { try await session.nodes() }
    #expect(refusal?.error.isPassingRefusal == false)
  }
}
