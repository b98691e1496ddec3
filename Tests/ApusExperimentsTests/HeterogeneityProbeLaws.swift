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

  @Test func `clients are measured apart, also for a method that brings their rows together`()
    async throws
  {
    let tiny = try TinyFederation()
    let fleet = ["devices.fleet=edge", "federation.workload.flops-per-step=1e12"]
    let plain = try await HeterogeneityProbe(Assembly(tiny.load(fleet)), rowsPerClient: 4)
    let pooled = try await HeterogeneityProbe(
      Assembly(tiny.load(fleet + ["method.name=centralised"])), rowsPerClient: 4)
    #expect(pooled.clients == plain.clients && pooled.clients.count == 5)
    #expect(pooled.features == plain.features && pooled.gradients == plain.gradients)
    #expect(pooled.system.seconds.count == 5)
  }

  @Test func `one client is like nobody`() async throws {
    let tiny = try TinyFederation()
    let assembly = try Assembly(tiny.load(["data.partition={kind: iid, clients: 1}"]))
    let error = await #expect(throws: ApusError.self) {
      try await HeterogeneityProbe(assembly, rowsPerClient: 4)
    }
    #expect(error?.code == .invalidData && error?.problem.hasPrefix("1 of 1 clients") == true)
  }

  @Test func `what fails elsewhere is no failure of the probe, which has a thread of its own`()
    async throws
  {
    let tiny = try TinyFederation()
    let assembly = try Assembly(try tiny.load([]))
    let error = await #expect(throws: ApusError.self) {
      try await onWorkerThread(threadsPerOperation: 1, "elsewhere") {
        _ = matmul(Tensor.ones([2, 3]), Tensor.ones([2, 3]))
        _ = try await HeterogeneityProbe(assembly, rowsPerClient: 4)
      }
    }
    #expect(error?.code == .tensorOperation && error?.location == "elsewhere")
  }

  @Test func `slower devices are seen`() async throws {
    let tiny = try TinyFederation()
    let assembly = try Assembly(
      try tiny.load(["devices.fleet=edge", "federation.workload.flops-per-step=1e12"]))
    let probe = try await HeterogeneityProbe(assembly, rowsPerClient: 4)
    #expect(try #require(probe.system.spread) > 1)
  }
}
