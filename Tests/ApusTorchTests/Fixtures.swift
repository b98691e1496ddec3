import ApusBase
import ApusTestSupport
import ApusTorch
import Foundation

/// Stored values, each with the script that made it beside it.
let fixtures = packageRoot.appending(path: "Tests/Fixtures/torch")

/// Numbers drawn from a seed, for tests.
func drawn(
  _ shape: [Int], seed: UInt64, dtype: DType = .float32, deviation: Double = 1
) -> Tensor {
  var stream = RandomStream(seed: seed)
  return Tensor.normal(shape, deviation: deviation, stream: &stream, dtype: dtype)
}
