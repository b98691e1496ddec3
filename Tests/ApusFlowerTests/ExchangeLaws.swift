import ApusBase
import ApusCore
import ApusSimulation
import ApusTorch
import Foundation
import Testing

@testable import ApusFlower

@Suite struct ExchangeLaws {
  private let tensors = NamedTensors([
    "a.lora_A.weight": Tensor([1, 2, 3, 4] as [Float], shape: [2, 2]),
    "b.lora_B.weight": Tensor([5] as [Float], shape: [1]),
  ])

  @Test func `a frame crosses as it is`() throws {
    let frame = WorkerFrame(head: Data("{\"x\":1}".utf8), parts: [Data([0, 1]), Data()])
    let back = try #require(try FlowerContent(frame).frame())
    #expect(back.head == frame.head && back.parts == frame.parts)
    #expect(try FlowerContent().frame() == nil)
  }

  @Test func `a frame of another version is refused`() {
    let content = FlowerContent([("apus", .config([("format", .string("frame/9"))]))])
    let error = #expect(throws: ApusError.self) { try content.frame() }
    #expect(error?.code == .invalidMessage)
  }

  @Test func `a brief is arrays under its own names, in order, and a config with the round from 1`()
    throws
  {
    let brief = Message(tensors: tensors, fields: ["step_limit": .int(3)])
    let content = ArrayContent.instruction(brief, round: 0)
    #expect(content.arrays("arrays")?.map(\.name) == tensors.names)
    #expect(content.arrays("arrays")?.first?.array.dtype == "float32")
    #expect(content.config == ["server-round": .int(1), "step_limit": .int(3)])
    let back = try ArrayContent.brief(content, at: "test")
    #expect(back.tensors.isIdentical(to: tensors) && back.fields == brief.fields)
  }

  @Test func `an update is arrays and metrics, and comes back the same`() throws {
    var update = Message(tensors: tensors, sampleCount: 12)
    update.fields["loss"] = .double(0.5)
    update.fields["steps"] = .int(3)
    let content = ArrayContent.reply(update, samples: 1)
    #expect(
      content.metrics == ["num-examples": .int(12), "train_loss": .double(0.5), "steps": .int(3)])
    let back = try ArrayContent.update(content, at: "test")
    #expect(back.tensors.isIdentical(to: tensors) && back.fields == update.fields)
  }

  @Test(arguments: [DType.float64, .float16, .bfloat16])
  func `fractions arrive in float32, whatever they were`(dtype: DType) throws {
    let brief = Message(tensors: tensors.mapValues { $0.to(dtype) })
    let back = try ArrayContent.brief(ArrayContent.instruction(brief, round: 0), at: "test")
    #expect(back.tensors.isIdentical(to: tensors))
  }

  @Test func `an update without num-examples is refused by name`() {
    let content = FlowerContent([("arrays", .arrays([])), ("metrics", .metrics([]))])
    let error = #expect(throws: ApusError.self) { try ArrayContent.update(content, at: "here") }
    #expect(error?.problem.contains("num-examples") == true)
  }

  @Test func `an array of a type that no tensor has is refused`() {
    let array = FlowerArray(dtype: "complex64", shape: [1], elements: Data(count: 8))
    let content = FlowerContent([("arrays", .arrays([("a", array)]))])
    let error = #expect(throws: ApusError.self) { try ArrayContent.brief(content, at: "here") }
    #expect(error?.location == "here, a")
  }

  @Test func `a run sets settings by Flower's names and by dotted ones; others are not ours`() {
    func scalar(_ change: (inout Flwr_Proto_Scalar) -> Void) -> Flwr_Proto_Scalar {
      var value = Flwr_Proto_Scalar()
      change(&value)
      return value
    }
    let assignments = RunOverrides.assignments([
      "num-server-rounds": scalar { $0.sint64 = 5 }, "learning-rate": scalar { $0.double = 0.01 },
      "apus.model.pooling": scalar { $0.string = "cls" },
      "fraction-train": scalar { $0.double = 1 },
    ])
    #expect(
      assignments == ["model.pooling=cls", "training.learning-rate=0.01", "federation.rounds=5"])
  }

  @Test func `two machines run one experiment wherever their files are`() throws {
    let one = Greeting(settings: ["data.train": "/a", "method.name": "fedit"], seed: 1)
    let other = Greeting(settings: ["data.train": "/b", "method.name": "fedit"], seed: 1)
    try other.requireSame(as: one)
    #expect(one.fingerprint == other.fingerprint)
    let sent = try #require(Greeting(one.content))
    #expect(sent.settings == ["method.name": "fedit"] && sent.seed == 1)
    let reseeded = Greeting(settings: one.settings, seed: 2)
    let error = #expect(throws: ApusError.self) { try reseeded.requireSame(as: one) }
    #expect(error?.location == "seed" && reseeded.fingerprint != one.fingerprint)
  }
}
