import ApusBase
import ApusCore
import ApusExperiments
import ApusTestSupport
import ApusTorch
import Testing

/// Laws of local training, on a real (if tiny) BERT.
@Suite struct TrainerLaws {
  private let client = ClientID(index: 2, name: "owner 2")

  @Test func `a phase depends on its start and its stream alone`() async throws {
    let tiny = try TinyFederation()
    let assembly = try Assembly(try tiny.load([]))
    let (one, two) = (
      try assembly.makeTrainer(of: client), try assembly.makeTrainer(of: client)
    )
    let training = assembly.experiment.training
    let stream = RandomStream(seed: 9)
    _ = try await two.train(LocalWork(training: training, random: stream.substream("other")))
    try two.load(two.initial)
    for trainer in [one, two] {
      _ = try await trainer.train(LocalWork(training: training, random: stream))
    }
    #expect(one.trainables.isIdentical(to: two.trainables))
    #expect(!one.trainables.isIdentical(to: one.initial))
  }

  @Test(arguments: [1, 3])
  func `a step limit bounds the work`(limit: Int) async throws {
    let tiny = try TinyFederation()
    let assembly = try Assembly(try tiny.load(["training.local-epochs=2"]))
    let trainer = try assembly.makeTrainer(of: client)
    let outcome = try await trainer.train(
      LocalWork(
        training: assembly.experiment.training, random: RandomStream(seed: 1), stepLimit: limit))
    #expect(outcome.steps == limit)
    #expect(outcome.rows <= 4 * limit)
  }

  @Test func `only what is selected moves`() async throws {
    let tiny = try TinyFederation()
    let assembly = try Assembly(try tiny.load([]))
    let trainer = try assembly.makeTrainer(of: client)
    _ = try await trainer.train(
      LocalWork(
        training: assembly.experiment.training, random: RandomStream(seed: 1),
        selects: { $0.contains("lora_B") }))
    for (name, tensor) in trainer.trainables {
      let start = try #require(trainer.initial[name])
      #expect(tensor.isIdentical(to: start) == !name.contains("lora_B"), "\(name)")
    }
  }

  @Test func `a loss that is no number ends the phase with an error`() async throws {
    let tiny = try TinyFederation()
    let assembly = try Assembly(try tiny.load([]))
    let trainer = try assembly.makeTrainer(of: client)
    let head = try #require(trainer.initial.names.first { $0.hasSuffix("classifier.bias") })
    try trainer.load(NamedTensors([head: Tensor.full([3], .infinity)]))
    let error = await #expect(throws: ApusError.self) {
      _ = try await trainer.train(
        LocalWork(training: assembly.experiment.training, random: RandomStream(seed: 1)))
    }
    #expect(error?.code == .nonFinite)
  }

  @Test func `training lowers the loss on the rows it saw`() async throws {
    let tiny = try TinyFederation()
    let assembly = try Assembly(try tiny.load(["training.local-epochs=8"]))
    let trainer = try assembly.makeTrainer(of: client)
    let before = try #require(try await trainer.evaluate(.train)["loss"])
    _ = try await trainer.train(
      LocalWork(training: assembly.experiment.training, random: RandomStream(seed: 1)))
    #expect(try #require(try await trainer.evaluate(.train)["loss"]) < before)
  }
}
