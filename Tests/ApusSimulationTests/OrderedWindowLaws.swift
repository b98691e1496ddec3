import Synchronization
import Testing

@testable import ApusSimulation

@Suite struct OrderedWindowLaws {
  @Test func `of the pieces that may begin the dearest does, and results come in order`()
    async throws
  {
    let costs = [1, 5, 2, 9, 9, 0]
    var begun: [Int] = []
    var taken: [Int] = []
    try await OrderedWindow(width: 3, running: 1).run(costs.count) {
      costs[$0]
    } begin: { piece in
      begun.append(piece)
      return piece
    } work: {
      $0
    } take: { piece, result in
      let value = try result.get()
      #expect(value == piece)
      taken.append(piece)
    }
    // 0, 1 and 2 may begin at first; the others once 0 was taken.
    #expect(begun == [1, 2, 0, 3, 4, 5])
    #expect(taken == Array(0..<costs.count))
  }

  @Test(arguments: [1, 2, 5])
  func `no more pieces run than may`(running: Int) async throws {
    let active = Mutex((now: 0, most: 0))
    let most = try await OrderedWindow(width: 8, running: running).run(40) {
      $0 % 7
    } begin: {
      $0
    } work: { piece in
      active.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
      await Task.yield()
      active.withLock { $0.now -= 1 }
      return piece
    } take: { _, _ in
    }
    #expect(active.withLock { $0.most } <= running)
    #expect(most <= 8)
  }
}
