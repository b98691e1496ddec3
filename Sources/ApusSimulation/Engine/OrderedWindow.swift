/// Runs pieces of work side by side and takes their results in order, holding few of them.
///
/// Piece n begins only once piece n − `width` was taken, so at most `width` results and running
/// pieces exist at any time, whatever the number of pieces and whoever is slow.
struct OrderedWindow {
  /// Greatest number of pieces between beginning and taking; twice the workers keeps them busy.
  let width: Int

  /// Runs `count` pieces.
  ///
  /// - Parameters:
  ///   - count: Number of pieces.
  ///   - begin: Gathers what piece n needs; called in order.
  ///   - work: Does a piece; what it throws arrives as its result.
  ///   - take: Gets the results in order, 0 to `count` − 1.
  /// - Returns: Greatest number of results that waited at one time.
  /// - Throws: `CancellationError` if the task is cancelled, and what `begin` and `take` throw;
  ///   running pieces are cancelled and waited for.
  @discardableResult
  func run<Input: Sendable, Value: Sendable>(
    _ count: Int, begin: (Int) throws -> Input,
    work: @escaping @Sendable (Input) async throws -> Value,
    take: (Int, Result<Value, any Error>) async throws -> Void
  ) async throws -> Int {
    try await withThrowingTaskGroup(of: (Int, Result<Value, any Error>).self) { group in
      var waiting: [Int: Result<Value, any Error>] = [:]
      var (begun, taken, most) = (0, 0, 0)
      while taken < count {
        try Task.checkCancellation()
        while begun < min(count, taken + width) {
          let (piece, input) = (begun, try begin(begun))
          group.addTask {
            do { return (piece, .success(try await work(input))) } catch {
              return (piece, .failure(error))
            }
          }
          begun += 1
        }
        guard let (piece, result) = try await group.next() else { break }
        waiting[piece] = result
        most = max(most, waiting.count)
        while let result = waiting.removeValue(forKey: taken) {
          // A piece that was cut short by cancelling did not fail.
          try Task.checkCancellation()
          try await take(taken, result)
          taken += 1
        }
      }
      return most
    }
  }
}
