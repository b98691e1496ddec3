/// Runs `body` while others do their work beside it; whoever throws first ends them all.
///
/// - Parameters:
///   - body: Whose result is wanted.
///   - loops: Loops that end by cancelling.
///   - ending: Hears why everything ends, before the members are waited for.
/// - Returns: What `body` returns.
/// - Throws: What `body` or a loop throws; of a cancelled task, what `body` throws.
func firstOf<Result: Sendable>(
  body: @escaping @Sendable () async throws -> Result,
  beside loops: [@Sendable () async throws -> Void],
  ending: (any Error) async -> Void = { _ in }
) async throws -> Result {
  try await withThrowingTaskGroup(of: Result?.self) { group in
    group.addTask { try await body() }
    for loop in loops {
      group.addTask {
        // A loop that is cancelled has nothing to say; the body has.
        do { try await loop() } catch is CancellationError {}
        return nil
      }
    }
    do {
      while let next = try await group.next() {
        guard let result = next else { continue }
        group.cancelAll()
        await ending(CancellationError())
        return result
      }
      throw CancellationError()
    } catch {
      group.cancelAll()
      await ending(error)
      throw error
    }
  }
}
