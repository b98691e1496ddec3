import ApusAdapters
import ApusBase
import ApusCore
import ApusExperiments
import ApusModels
import ApusSimulation
import ApusTestSupport
import ApusTorch
import ApusTraining
import Foundation
import Testing

/// Laws of whole runs of every task on tiny models.
@Suite struct TaskRunLaws {
  private func load(_ tiny: TinyTask, _ settings: [String] = []) throws -> Experiment {
    try Experiment(contentsOf: tiny.experiment, assignments: settings)
  }

  private func run(
    _ tiny: TinyTask, named name: String, _ settings: [String] = []
  ) async throws -> ExperimentRun {
    let assembly = try Assembly(try load(tiny, settings))
    let folder = tiny.folder.appending(path: "runs/\(name)")
    let run = try ExperimentRun(assembly, folder: folder, resuming: false)
    _ = try await run.run()
    return run
  }

  @Test(arguments: TinyTask.kinds)
  func `the loss falls, the headline rises, and every metric is there`(kind: String) async throws {
    let tiny = try TinyTask(kind, rounds: 8)
    // Four passes a round teach this task all that there is in the first round.
    let settings = kind == "extractive-qa" ? ["training.local-epochs=1"] : []
    let run = try await run(tiny, named: "falls", settings)
    let metrics = try run.archive().metrics().filter { $0.scope == "global/test" }
    func curve(_ name: String) -> [Double] {
      metrics.filter { $0.metric == name }.map(\.value)
    }
    let losses = curve("loss")
    #expect(losses.count == 8)
    #expect(try #require(losses.min()) < 0.85 * #require(losses.first), "\(losses)")
    let headline = curve(run.assembly.experiment.task.kind.headline)
    #expect(
      try #require(headline.dropFirst().max()) > #require(headline.first), "\(headline)")
    let expected: Set<String> =
      switch kind {
      case "seq2seq":
        [
          "loss", "perplexity", "token_accuracy", "bleu", "rouge1", "rouge2", "rougeL",
          "rougeLsum", "exact_match",
        ]
      case "token-classification":
        [
          "loss", "word_accuracy", "entity_f1", "entity_precision", "entity_recall",
          "entity_macro_f1",
        ]
      case "extractive-qa": ["loss", "exact_match", "answer_f1"]
      default: ["loss", "accuracy", "macro_f1", "matthews"]
      }
    #expect(Set(metrics.map(\.metric)) == expected)
  }

  @Test(arguments: TinyTask.kinds)
  func `workers change no bit`(kind: String) async throws {
    let tiny = try TinyTask(kind, rounds: 1)
    let one = try await run(tiny, named: "one", ["engine.workers=1"])
    let three = try await run(tiny, named: "three", ["engine.workers=3"])
    let values = try [one, three].map { try $0.assembly.global(of: $0.folder) }
    #expect(values[0].isIdentical(to: values[1]))
    #expect(
      try one.archive().metrics().map(\.value) == three.archive().metrics().map(\.value))
  }

  @Test(arguments: TinyTask.kinds)
  func `adapter folders name the task and hold its head`(kind: String) async throws {
    let tiny = try TinyTask(kind, rounds: 1)
    let run = try await run(tiny, named: "export")
    let folder = try AdapterFolder(reading: run.folder.appending(path: "adapter"))
    let values = try run.assembly.global(of: run.folder)
    #expect(values.allSatisfy { folder.tensors[$0.name] != nil })
    let (task, head): (AdapterTask?, String?) =
      switch kind {
      case "seq2seq": (.sequenceToSequence, nil)
      case "token-classification": (.tokenClassification, "classifier.weight")
      case "extractive-qa": (.questionAnswering, "qa_outputs.weight")
      case "masked-lm": (nil, nil)
      default: (.sequenceClassification, "classifier.weight")
      }
    #expect(folder.task == task)
    #expect(folder.tensors.names.contains { $0.hasSuffix(head ?? "lora_A.weight") })
    let merged = tiny.folder.appending(path: "merged")
    try run.assembly.writeMerged(values, to: merged)
    let backbone = try Backbone(Checkpoint(folder: merged))
    let random = RandomStream(seed: 1)
    switch kind {
    case "seq2seq": _ = try backbone.makeSequenceToSequenceModel()
    case "token-classification":
      #expect(backbone.checkpoint.labels.contains("I-FARM"))
      #expect(try !backbone.makeTokenScorer(.tags(7), random: random).hasFreshHead)
    case "extractive-qa":
      #expect(try !backbone.makeTokenScorer(.answer, random: random).hasFreshHead)
    case "masked-lm": _ = try backbone.makeMaskedLanguageModel()
    default:
      #expect(
        try !backbone.makeClassifier(labels: 3, pooling: .cls, random: random).hasFreshHead)
    }
  }

  @Test(arguments: [
    ("seq2seq", "task.label-smoothing=1", "label-smoothing"),
    ("seq2seq", "task.target-start=fr_XX", "fr_XX"),
    ("seq2seq", "data.columns.response=~", "response"),
    ("seq2seq", "task.kind=causal-lm", "does not predict"),
    ("seq2seq", "task.num-beams=0", "beams"),
    ("token-classification", "data.columns.tags=owner", "words"),
    ("token-classification", "task.tag-names=[O, B-SHIP]", "there is no tag"),
    ("extractive-qa", "data.columns.response=question", "the context has no"),
    ("extractive-qa", "data.columns.pair=~", "context"),
    ("masked-lm", "task.prompt=\"{text} is\"", "mask"),
    ("masked-lm", "task.verbalizer={ship: a}", "seed"),
    ("masked-lm", "task.verbalizer={ship: a, seed: airship, string: of}", "airship"),
    ("sequence-classification", "task.kind=seq2seq", "no response"),
  ])
  func `what cannot be is named`(kind: String, setting: String, told: String) throws {
    let tiny = try TinyTask(kind)
    let error = #expect(throws: ApusError.self) { try Assembly(try load(tiny, [setting])) }
    #expect(error.map { "\($0)".contains(told) } == true, "\(String(describing: error))")
  }
}
