import ApusBase
import ApusCore
import ApusTorch
import Testing

@testable import ApusTraining

@Suite struct GradientHeterogeneityLaws {
  private func gradient(_ values: [Double]) -> NamedTensors {
    NamedTensors(["w": Tensor(values, shape: [values.count])])
  }

  @Test func `equal gradients have no variance and dissimilarity one`() throws {
    let report = try GradientHeterogeneity(
      [gradient([3, 4]), gradient([3, 4])], weights: [1, 5])
    #expect(report.variance == 0)
    #expect(abs(report.norm - 5) < 1e-12)
    #expect(abs(report.dissimilarity - 1) < 1e-12)
  }

  @Test func `weights enter the mean and the dissimilarity as shares`() throws {
    let report = try GradientHeterogeneity(
      [gradient([4, 0]), gradient([0, 4])], weights: [3, 1])
    #expect(abs(report.norm - (9.0 + 1).squareRoot()) < 1e-12)  // mean (3, 1)
    #expect(abs(report.variance - ((1.0 + 1) + (9.0 + 9)) / 2) < 1e-12)
    #expect(abs(report.dissimilarity - 4 / 10.0.squareRoot()) < 1e-12)
  }

  @Test func `gradients that cancel are infinitely dissimilar`() throws {
    let report = try GradientHeterogeneity([gradient([1]), gradient([-1])], weights: [1, 1])
    #expect(report.dissimilarity == .infinity)
  }

  @Test func `gradients of different tensors are refused`() {
    #expect(throws: ApusError.self) {
      try GradientHeterogeneity(
        [gradient([1]), NamedTensors(["v": Tensor([1.0], shape: [1])])], weights: [1, 1])
    }
  }
}
