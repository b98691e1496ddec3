import ApusBase
import ApusTestSupport
import Foundation
import Testing

@testable import ApusTraining

@Suite struct MetricLaws {
  @Test(arguments: 0..<20)
  func `parts add up to the whole`(seed: UInt64) {
    var stream = RandomStream(seed: seed)
    let words = ["the", "cat", "sat", "on", "a", "mat", "B-X", "I-X", "O", "O"]
    let text = { (stream: inout RandomStream) in
      (0..<6).map { _ in words[Int(stream.next() % 10)] }
    }
    var wholes = (BLEU(), EntityTally(), ClassTally<String>(), AnswerOverlap(), Perplexity())
    var sums = wholes
    for _ in 0..<5 {
      let (guess, truth) = (text(&stream), text(&stream))
      let (output, reference) = (guess.joined(separator: " "), truth.joined(separator: " "))
      var parts = (BLEU(), EntityTally(), ClassTally<String>(), AnswerOverlap(), Perplexity())
      parts.0.add(output, references: [reference])
      wholes.0.add(output, references: [reference])
      parts.1.add(truth: truth, guess: guess)
      wholes.1.add(truth: truth, guess: guess)
      parts.2.add(truth: truth[0], guess: guess[0])
      wholes.2.add(truth: truth[0], guess: guess[0])
      parts.3.add(output, references: [reference])
      wholes.3.add(output, references: [reference])
      parts.4.add(nats: Double(seed), tokens: 6)
      wholes.4.add(nats: Double(seed), tokens: 6)
      sums.0.add(parts.0)
      sums.1.add(parts.1)
      sums.2.add(parts.2)
      sums.3.add(parts.3)
      sums.4.add(parts.4)
    }
    #expect(sums.0 == wholes.0)
    #expect(sums.1 == wholes.1)
    #expect(sums.2 == wholes.2)
    #expect(sums.3 == wholes.3)
    #expect(sums.4 == wholes.4)
  }

  @Test func `a perfect output scores full marks`() {
    let text = "The budget of 3,000 was agreed on by all members.\nThey left."
    var bleu = BLEU()
    bleu.add(text, references: ["something else", text])
    #expect(abs(bleu.score - 100) < 1e-9)
    for kind in ROUGE.Kind.allCases {
      for rouge in [ROUGE(), ROUGE(usesStemmer: true)] {
        #expect(rouge.score(text, reference: text, kind).f1 == 1)
        #expect(rouge.best(text, references: ["x", text], kind)?.f1 == 1)
      }
    }
    #expect(ROUGE().best(text, references: [], .rouge1) == nil)
  }

  @Test func `nothing measured gives no score, not a trap`() {
    #expect(BLEU().score == 0)
    #expect(ClassTally<Int>().macroF1 == 0)
    #expect(ClassTally<Int>().matthews == 0)
    #expect(EntityTally().micro.f1 == 0)
    #expect(AnswerOverlap().f1 == 0)
    #expect(Perplexity().value == nil)
    #expect(Correlation.pearson([], []) == nil)
    #expect(Correlation.pearson([1, 2], [1]) == nil)
    #expect(Correlation.spearman([3, 3, 3], [1, 2, 3]) == nil)
    var bleu = BLEU()
    bleu.add("", references: [])
    #expect(bleu.score == 0)
    #expect(EntitySpan.spans(of: ["", "I", "B-"]).map(\.type) == ["_", "_"])
  }

  @Test func `perplexity weighs tokens, not texts`() throws {
    var perplexity = Perplexity()
    perplexity.add(nats: 2 * log(8.0), tokens: 2)
    perplexity.add(nats: log(1.0), tokens: 1)
    #expect(abs(try #require(perplexity.value) - 4) < 1e-12)
  }

  @Test(arguments: [
    ("She makes 9 * 2 = $<<9*2=18>>18 a day.\n#### 18", "18"), ("#### 1,234,000", "1234000"),
    ("####$-3.50", "-3.5"), ("#### nothing\n#### 007.0 dollars", "7"), ("#### -$5", "-5"),
    ("The answer is 42.", "42"), ("So $1,250.50 in all", "1250.5"), ("1, 2,3", "3"),
    ("5-3", "3"), ("it is -3", "-3"), ("costs -$4.", "-4"), ("0.0", "0"), ("-0", "0"),
    ("v1.2.3", "2.3"), ("only .5 left", "0.5"), ("٣ 7 ٣", "7"), ("12,3456", "3456"),
  ])
  func `the answer of a solution is found`(text: String, digits: String) {
    #expect(MathAnswer(text)?.digits == digits)
  }

  @Test(arguments: ["", "####", "none", "#### .", "-", "##### ,"])
  func `a text without a number has no answer`(text: String) {
    #expect(MathAnswer(text) == nil)
    #expect(!MathAnswer.matches("4", reference: text))
  }

  @Test func `answers match whatever their spelling`() {
    #expect(MathAnswer.matches("Therefore 1,800.00 pounds.", reference: "… #### 1800"))
    #expect(!MathAnswer.matches("#### 18", reference: "#### -18"))
    #expect(!MathAnswer.matches("no idea", reference: "#### 18"))
  }

  @Test(
    .enabled(
      if: FileManager.default.fileExists(atPath: Self.solutions.path),
      "needs ../shared/data/gsm8k"))
  func `every solution of GSM8K has an answer, marked and last`() throws {
    let lines = try String(contentsOf: Self.solutions, encoding: .utf8).split(separator: "\n")
    for line in lines {
      let row = try JSONNode(parsing: Data(line.utf8), file: "test.jsonl")
      let solution = try row["answer"].string()
      let answer = try #require(MathAnswer(marked: solution))
      #expect(MathAnswer(lastNumberOf: solution) == answer)
      #expect(Double(answer.digits) != nil)
    }
    #expect(lines.count > 1_000)
  }

  private static let solutions =
    packageRoot.appending(path: "../shared/data/gsm8k/test.jsonl").standardizedFileURL
}
