import ApusTorch

/// Means of a Gaussian kernel within and between clients.
struct KernelMeans {
  private let within: [Double]
  private let between: [[Double]]

  /// Compares clients with each other.
  ///
  /// - Parameter features: Rows of each client [nₖ, D], nₖ ≥ 2, float64.
  init(_ features: [Tensor]) {
    let all = concatenated(features)
    let squares = Self.squaredDistances(all)
    let kernel = exp(squares * (-1 / Swift.max(Self.median(squares), .leastNormalMagnitude)))
    let sizes = features.map { $0.size(0) }
    let starts = sizes.indices.map { sizes[..<$0].reduce(0, +) }
    func sum(_ a: Int, _ b: Int) -> Double {
      kernel.sliced(0, starts[a]..<(starts[a] + sizes[a]))
        .sliced(1, starts[b]..<(starts[b] + sizes[b])).sum().item
    }
    within = sizes.indices.map { client in
      let size = Double(sizes[client])
      return (sum(client, client) - size) / (size * (size - 1))
    }
    between = sizes.indices.map { first in
      sizes.indices.map { second in
        second <= first ? 0 : sum(first, second) / Double(sizes[first] * sizes[second])
      }
    }
  }

  /// MMD² of two clients, the lower index first; unbiased, so it may be slightly negative.
  func discrepancy(_ first: Int, _ second: Int) -> Double {
    within[first] + within[second] - 2 * between[first][second]
  }

  private static func squaredDistances(_ rows: Tensor) -> Tensor {
    let squares = (rows * rows).sum([1], keepDims: true)
    let products = matmul(rows, rows.matrixTransposed)
    return (squares + squares.matrixTransposed - products * 2).clamped(low: 0)
  }

  /// The median of the entries off the diagonal.
  private static func median(_ squares: Tensor) -> Double {
    let count = squares.size(0)
    let flat = squares.reshaped([-1])
    let order = flat.argsort()  // the diagonal's zeros come first
    return flat.indexSelected(0, order.sliced(0, middle(count)..<(middle(count) + 1))).item
  }

  private static func middle(_ count: Int) -> Int { (count * count + count) / 2 }
}
