import ApusBase
import ApusCore
import ApusExperiments
import ApusSimulation
import ApusTestSupport
import ApusTorch
import ApusTraining
import Testing

@Suite struct HeterogeneityProbeLaws {
  @Test func `the gradient is the slope of the mean loss`() async throws {
    let tiny = try TinyFederation()
    let assembly = try Assembly(try tiny.load([]))
    let client = try #require(assembly.clients.first).id
    let learner = try #require(try assembly.makeTrainer(of: client) as? Learner)
    let gradient = try await learner.gradient()
    let square = gradient.reduce(0.0) { $0 + $1.tensor.squared.sum().item }
    #expect(square > 0)
    func loss(_ step: Double) async throws -> Double {
      var moved: [String: Tensor] = [:]
      for (name, tensor) in learner.initial {
        moved[name] = tensor + (try #require(gradient[name])) * step
      }
      try learner.load(NamedTensors(moved))
      let metrics = try await learner.evaluate(.train)
      return try #require(metrics["loss"])
    }
    let step = 0.01 / square.squareRoot()
    let slope = (try await loss(step) - loss(-step)) / (2 * step)
    #expect(abs(slope - square) <= 0.02 * square)
  }

  @Test func `clients, features, gradients and devices are measured`() async throws {
    let tiny = try TinyFederation()
    let assembly = try Assembly(try tiny.load([]))
    let probe = try await HeterogeneityProbe(assembly, rowsPerClient: 8)
    #expect(probe.clients.count == assembly.clients.count)
    #expect(probe.gradients.dissimilarity >= 1)
    #expect(probe.gradients.norm > 0)
    let features = try #require(probe.features)
    #expect(features.meanFrechetDistance > 0)
    #expect((0...1).contains(features.domainAccuracy))
    #expect(probe.system.spread == nil)
  }

  @Test func `slower devices are seen`() async throws {
    let tiny = try TinyFederation()
    let assembly = try Assembly(
      try tiny.load(["devices.fleet=edge", "federation.workload.flops-per-step=1e12"]))
    let probe = try await HeterogeneityProbe(assembly, rowsPerClient: 4)
    #expect(try #require(probe.system.spread) > 1)
  }
}
