import ApusBase
import ApusCore
import ApusTorch
import Testing

@Suite struct RefusedUpdateLaws {
  /// Updates that cannot be averaged with those of ``drawnUpdates(_:seed:)``, and the reason.
  private static let refused: [(name: String, code: ApusError.Code, update: NamedTensors)] = {
    let (a, b) = (Tensor.ones([2, 3]), Tensor.ones([4]))
    func pair(_ a: Tensor, _ b: Tensor) -> NamedTensors { NamedTensors(["a": a, "b": b]) }
    let large = Tensor.full([4], 1e300, dtype: .float64)
    return [
      ("NaN", .nonFinite, pair(.full([2, 3], .nan), b)),
      ("infinity", .nonFinite, pair(a, .full([4], -.infinity))),
      ("too large for float32", .nonFinite, pair(a, large)),
      ("misshaped", .shapeMismatch, pair(a.matrixTransposed, b)),
      ("missing", .shapeMismatch, NamedTensors(["b": b])),
      ("extra", .shapeMismatch, pair(a, b).merging(NamedTensors(["c": b]))),
      ("none", .shapeMismatch, NamedTensors()),
    ]
  }()

  @Test(arguments: refused.indices)
  func `a refused update leaves the mean as it was, bit for bit`(index: Int) throws {
    let (name, code, bad) = Self.refused[index]
    let updates = drawnUpdates(3, seed: 9)
    var disturbed = WeightedMean(like: updates[0])
    var calm = disturbed
    for update in updates {
      let error = #expect(throws: ApusError.self, "\(name)") {
        try disturbed.absorb(bad, weight: 2, at: "round 1, client 4")
      }
      #expect(error?.code == code)
      #expect(error?.location.hasPrefix("round 1, client 4") == true)
      try disturbed.absorb(update, weight: 3, at: "here")
      try calm.absorb(update, weight: 3, at: "here")
    }
    #expect(disturbed.count == 3)
    let (found, expected) = (disturbed.finish(), calm.finish())
    #expect(try #require(found).isIdentical(to: #require(expected)))
    try Tensor.check()
  }

  @Test(arguments: [-1, -0.5, .nan, .infinity])
  func `a weight that is no number from 0 on is refused`(weight: Double) {
    let update = drawnUpdates(1, seed: 2)[0]
    var mean = WeightedMean(like: update)
    let error = #expect(throws: ApusError.self) {
      try mean.absorb(update, weight: weight, at: "here")
    }
    #expect(error?.code == .invalidMessage)
    #expect(mean.count == 0)
  }
}
