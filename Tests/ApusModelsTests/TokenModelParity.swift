import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

/// Makes the models once for all tests of a suite, by a script that takes a few seconds.
private struct MadeModels: SuiteTrait, TestScoping {
  @TaskLocal static var folder: URL?

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let place = try TemporaryFolder()
    let script = packageRoot.appending(path: "Tests/Fixtures/token_models/oracle.py")
    try Oracle.run([script.path, place("models").path])
    try await Self.$folder.withValue(place("models"), operation: function)
  }
}

/// Token classifiers, question answerers and masked language models beside transformers.
@Suite(.enabled(if: Oracle.isPresent, "needs .venv-oracle"), MadeModels())
struct TokenModelParity {
  static let architectures = ["bert", "roberta", "distilbert", "albert", "deberta", "deberta-v2"]
  private let folder: URL
  init() throws { folder = try #require(MadeModels.folder) }

  /// A checkpoint with what transformers says of it.
  private struct Case {
    let backbone: Backbone
    let file: SafetensorsFile
    let batch: TokenBatch

    init(_ folder: URL) throws {
      backbone = try Backbone(Checkpoint(folder: folder))
      file = try SafetensorsFile(contentsOf: folder.appending(path: "reference.safetensors"))
      let ids = try file.tensor("ids")
      batch = try TokenBatch((0..<ids.size(0)).map { ids[$0].ints })
    }

    /// Logits [B, L, C] as rows.
    var logits: Tensor {
      get throws {
        let logits = try file.tensor("logits")
        return logits.reshaped([-1, logits.size(2)])
      }
    }
  }

  @Test(arguments: architectures)
  func `scores and loss of tags`(name: String) throws {
    let found = try Case(folder.appending(path: "\(name)-tags"))
    let model = try found.backbone.makeTokenScorer(.tags(5), random: RandomStream(seed: 1))
    #expect(!model.hasFreshHead)
    let scores = withoutGradient { model.scores(found.batch, random: nil) }
    expectClose(scores, try found.logits, absolute: 1e-5, relative: 1e-4)
    let labels = try found.file.tensor("labels").reshaped([-1])
    expectClose(
      TokenScorer.tagLoss(scores, tags: labels), try found.file.tensor("loss"), absolute: 1e-6,
      relative: 1e-5)
    let other = try found.backbone.makeTokenScorer(.tags(3), random: RandomStream(seed: 1))
    #expect(other.hasFreshHead && other.drawnModules == other.headNames)
  }

  @Test(arguments: architectures)
  func `scores and loss of answers`(name: String) throws {
    let found = try Case(folder.appending(path: "\(name)-answer"))
    let model = try found.backbone.makeTokenScorer(.answer, random: RandomStream(seed: 1))
    #expect(!model.hasFreshHead)
    let scores = withoutGradient { model.scores(found.batch, random: nil) }
    expectClose(scores, try found.logits, absolute: 1e-5, relative: 1e-4)
    let (first, last) = (try found.file.tensor("first").ints, try found.file.tensor("last").ints)
    let loss = TokenScorer.answerLoss(
      scores, answers: zip(first, last).map { ($0, $1) }, found.batch.layout)
    expectClose(loss, try found.file.tensor("loss"), absolute: 1e-6, relative: 1e-5)
  }

  @Test(arguments: architectures)
  func `scores of masked words, all or some`(name: String) throws {
    let found = try Case(folder.appending(path: "\(name)-masked"))
    let model = try found.backbone.makeMaskedLanguageModel()
    let all = Array(0..<found.batch.layout.rowCount)
    let scores = withoutGradient { model.scores(found.batch, rows: all, random: nil) }
    expectClose(scores, try found.logits, absolute: 1e-5, relative: 1e-4)
    let labels = try found.file.tensor("labels").reshaped([-1])
    expectClose(
      crossEntropy(scores, labels), try found.file.tensor("loss"), absolute: 1e-6, relative: 1e-5)
    let some = withoutGradient {
      model.scores(found.batch, rows: [4, 11], words: [7, 3], random: nil)
    }
    let index = { (values: [Int]) in Tensor(values, shape: [values.count]) }
    expectClose(
      some, scores.indexSelected(0, index([4, 11])).indexSelected(1, index([7, 3])),
      absolute: 1e-6, relative: 1e-5)
  }

  @Test(arguments: ["tags", "answer", "masked"])
  func `a written model opens again with the same scores`(task: String) throws {
    let found = try Case(folder.appending(path: "roberta-\(task)"))
    let random = RandomStream(seed: 1)
    let all = Array(0..<found.batch.layout.rowCount)
    func scores(_ backbone: Backbone, writtenTo folder: URL?) throws -> Tensor {
      if task == "masked" {
        let model = try backbone.makeMaskedLanguageModel()
        if let folder { try model.write(to: folder, like: backbone.checkpoint) }
        return withoutGradient { model.scores(found.batch, rows: all, random: nil) }
      }
      let model = try backbone.makeTokenScorer(
        task == "tags" ? .tags(5) : .answer, random: random)
      #expect(!model.hasFreshHead)
      if let folder { try model.write(to: folder, like: backbone.checkpoint) }
      return withoutGradient { model.scores(found.batch, random: nil) }
    }
    try withTemporaryFolder { parent in
      let written = parent.appending(path: "model")
      let before = try scores(found.backbone, writtenTo: written)
      let again = try scores(Backbone(Checkpoint(folder: written)), writtenTo: nil)
      #expect(before.isIdentical(to: again))
    }
  }

  @Test func `a file or an architecture without the head is refused`() throws {
    let tags = try Case(folder.appending(path: "bert-tags")).backbone
    let first = #expect(throws: ApusError.self) { try tags.makeMaskedLanguageModel() }
    #expect(first?.code == .checkpointMismatch)
    let bart = try Backbone(Checkpoint(folder: EncoderDecoderGolden("bart").folder))
    #expect(throws: ApusError.self) { try bart.makeMaskedLanguageModel() }
    #expect(throws: ApusError.self) {
      try bart.makeTokenScorer(.answer, random: RandomStream(seed: 1))
    }
    #expect(throws: ApusError.self) {
      try tags.makeTokenScorer(.tags(0), random: RandomStream(seed: 1))
    }
  }
}
