import ApusAdapters
import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusTraining

/// A training with AdaLoRA beside the same one of Python's PEFT.
@Suite struct AdaLoRACourse {
  @Test func `every step leaves the same singular values`() throws {
    let golden = try Golden()
    let course = try SafetensorsFile(
      contentsOf: packageRoot.appending(
        path: "Tests/Fixtures/parameterizations/course.safetensors"))
    let model = try Golden.model()
    var configuration = AdapterConfiguration()
    (configuration.kind, configuration.rank, configuration.alpha) = (.adalora, 2, 8)
    configuration.adalora.initialRank = 4
    configuration.adalora.totalSteps = 14
    (configuration.adalora.initialShare, configuration.adalora.finalShare) = (2 / 14, 4 / 14)
    (configuration.adalora.interval, configuration.adalora.orthogonality) = (3, 0.3)
    let adapted = try AdaptedModel(model, configuration, random: RandomStream(seed: 1))
    var start: [String: Tensor] = [:]
    for name in course.names where name.hasPrefix("start/") {
      start[String(name.dropFirst("start/".count))] = try course.tensor(name)
    }
    try adapted.load(NamedTensors(start))

    var training = LocalTraining()
    training.optimizer.kind = .sgd
    let phase = LocalPhase(
      trainables: adapted.trainables, stepCount: 14, fullStepCount: 14, round: nil)
    var stepper = try Stepper(phase, hooks: adapted.makeStepHooks(), training)
    try stepper.begin()
    let (batch, labels) = (try golden.batch, try golden.file.tensor("labels"))
    for index in 0..<14 {
      let step = LocalStep(phase, index: index, random: RandomStream(seed: 1))
      _ = try stepper.step(step, learningRate: 0.5) {
        (model.loss(batch, labels: labels, random: nil), nil)
      }
      for (name, leaf) in phase.trainables where name.hasSuffix("lora_E") {
        let expected = try course.tensor("step\(index + 1)/\(name)").floats
        for (own, theirs) in zip(leaf.floats, expected) {
          #expect((own == 0) == (theirs == 0), "step \(index + 1), \(name)")
          #expect(abs(own - theirs) < 1e-5 + 1e-3 * abs(theirs), "step \(index + 1), \(name)")
        }
      }
    }
  }
}
