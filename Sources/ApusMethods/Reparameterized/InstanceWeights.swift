import ApusBase
import ApusTorch

/// How much a client's own data have to say of each row: α(x) = λ·max(0, mean cosine) of what the
/// model sees of x and of a few training rows, drawn anew for each x.
///
/// - Source: Yang et al., arXiv 2403.19211, §4.3; negative means count as 0, so that both weights of
///   a mixture lie in 0…1.
struct InstanceWeights {
  /// α for each row, in 0…λ.
  let values: [Double]

  /// Weighs rows.
  ///
  /// - Parameters:
  ///   - rows: Features of the rows [n, D].
  ///   - own: Features of the training rows [m, D]; without any, the weights are 0.
  ///   - count: S, how many of them each row is compared with; all if there are no more.
  ///   - largest: λ.
  ///   - random: Draws the training rows, a substream for each row.
  init(
    of rows: Tensor, comparedWith own: Tensor, rows count: Int, largest: Double,
    random: RandomStream
  ) {
    let (n, m) = (rows.size(0), own.size(0))
    guard n > 0, m > 0 else {
      values = [Double](repeating: 0, count: n)
      return
    }
    let drawn = min(count, m)
    let places = (0..<n).flatMap { Self.draw(drawn, of: m, random.substream("row", $0)) }
    let chosen = Self.normalized(own).indexSelected(0, Tensor(places, shape: [places.count]))
      .reshaped([n, drawn, -1])
    let cosines = (chosen * Self.normalized(rows).unsqueezed(1)).sum([2]).mean([1])
    values = (cosines.clamped(low: 0, high: 1) * largest).doubles
  }

  /// Different places below `bound`.
  private static func draw(_ count: Int, of bound: Int, _ random: RandomStream) -> [Int] {
    var (stream, drawn) = (random, [Int]())
    while drawn.count < count {
      let place = stream.integer(below: bound)
      if !drawn.contains(place) { drawn.append(place) }
    }
    return drawn
  }

  private static func normalized(_ x: Tensor) -> Tensor {
    let x = x.to(.float64)
    return x / x.norm([-1], keepDims: true).clamped(low: 1e-12)
  }
}
