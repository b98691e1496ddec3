import ApusTorch
import Testing

@testable import ApusTraining

@Suite struct ScoreLaws {
  /// Four rows of three classes: guesses 0, 1, 1, 2 for truths 0, 1, 2, 2.
  private let logits = Tensor(
    [4, 0, 0, 0, 4, 0, 0, 4, 0, 0, 0, 4] as [Float], shape: [4, 3])
  private let truths = Tensor([0, 1, 2, 2], shape: [4])

  @Test func `accuracy, loss and macro F1 are those of the definitions`() throws {
    var scores = ClassificationScores()
    scores.add(logits: logits, labels: truths)
    let metrics = scores.metrics
    #expect(metrics["accuracy"] == 0.75)
    // F1 by class: 1, 2·1/(1 + 2), 2·1/(2 + 1).
    let f1 = try #require(metrics["macro_f1"])
    #expect(abs(f1 - (1 + 2.0 / 3 + 2.0 / 3) / 3) < 1e-12)
    let expected = crossEntropy(logits, truths).item
    #expect(abs(try #require(metrics["loss"]) - expected) < 1e-6)
  }

  @Test(arguments: 1..<4)
  func `parts add up to the whole`(cut: Int) {
    var whole = ClassificationScores()
    whole.add(logits: logits, labels: truths)
    var parts = ClassificationScores()
    for range in [0..<cut, cut..<4] {
      var part = ClassificationScores()
      part.add(logits: logits.sliced(0, range), labels: truths.sliced(0, range))
      parts.add(part.sums)
    }
    #expect(parts.metrics["accuracy"] == whole.metrics["accuracy"])
    #expect(parts.metrics["macro_f1"] == whole.metrics["macro_f1"])
  }

  @Test func `without rows there is no metric`() {
    #expect(ClassificationScores().metrics.isEmpty)
  }
}
