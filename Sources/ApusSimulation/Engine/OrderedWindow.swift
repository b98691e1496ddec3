/// Runs pieces of work side by side and takes their results in order, holding few of them.
///
/// Piece n begins only once piece n − `width` was taken, so at most `width` results and running
/// pieces exist at any time, whatever the number of pieces and whoever is slow. Of the pieces that
/// may begin the dearest does, so that no worker is left alone with a long one at the end.
struct OrderedWindow {
  /// Greatest number of pieces between beginning and taking.
  let width: Int
  /// Greatest number of pieces that run or are about to; twice the workers keeps them busy.
  let running: Int

  /// Runs `count` pieces.
  ///
  /// - Parameters:
  ///   - count: Number of pieces.
  ///   - cost: How long a piece takes, in any unit; pieces of one cost begin in order.
  ///   - begin: Gathers what a piece needs.
  ///   - work: Does a piece; what it throws arrives as its result.
  ///   - take: Gets the results in order, 0 to `count` − 1.
  /// - Returns: Greatest number of results that waited at one time.
  /// - Throws: `CancellationError` if the task is cancelled, and what `begin` and `take` throw;
  ///   running pieces are cancelled and waited for.
  @discardableResult
  func run<Input: Sendable, Value: Sendable>(
    _ count: Int, cost: (Int) -> Int = { _ in 0 }, begin: (Int) throws -> Input,
    work: @escaping @Sendable (Input) async throws -> Value,
    take: (Int, Result<Value, any Error>) async throws -> Void
  ) async throws -> Int {
    try await withThrowingTaskGroup(of: (Int, Result<Value, any Error>).self) { group in
      var waiting: [Int: Result<Value, any Error>] = [:]
      var (seen, taken, active, most) = (0, 0, 0, 0)
      var candidates: [Int] = []
      while taken < count {
        try Task.checkCancellation()
        while seen < min(count, taken + width) {
          candidates.append(seen)
          seen += 1
        }
        while active < running, let place = dearest(candidates, cost) {
          let piece = candidates.remove(at: place)
          let input = try begin(piece)
          group.addTask {
            do { return (piece, .success(try await work(input))) } catch {
              return (piece, .failure(error))
            }
          }
          active += 1
        }
        guard let (piece, result) = try await group.next() else { break }
        active -= 1
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
  /// Where the dearest of some pieces is, the first of several; nil for none.
  private func dearest(_ pieces: [Int], _ cost: (Int) -> Int) -> Int? {
    pieces.indices.min { (-cost(pieces[$0]), $0) < (-cost(pieces[$1]), $1) }
  }
}
