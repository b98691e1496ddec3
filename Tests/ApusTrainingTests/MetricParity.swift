import ApusBase
import ApusTestSupport
import Foundation
import Testing

@testable import ApusTraining

/// What sacreBLEU, rouge-score, seqeval, scikit-learn and SciPy say of `Tests/Fixtures/metrics`.
@Suite struct MetricParity {
  let golden: JSONNode
  init() throws {
    golden = try JSONNode(
      contentsOf: packageRoot.appending(path: "Tests/Fixtures/metrics/metrics.json"))
  }

  private func near(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-9 * max(1, abs(b)) }

  @Test func `BLEU has the counts and scores of sacreBLEU`() throws {
    for corpus in try golden["bleu"]["corpora"].array() {
      var bleu = BLEU()
      let references = try corpus["references"].array()
      for (output, references) in zip(try corpus["outputs"].strings(), references) {
        bleu.add(output, references: try references.strings())
      }
      #expect(bleu.hits.map(Double.init) == (try corpus["counts"].doubles()))
      #expect(bleu.totals.map(Double.init) == (try corpus["totals"].doubles()))
      #expect(near(bleu.brevityPenalty, try corpus["penalty"].double()))
      for (found, expected) in zip(bleu.precisions, try corpus["precisions"].doubles()) {
        #expect(near(found, expected))
      }
      #expect(near(bleu.score, try corpus["score"].double()))
    }
  }

  @Test func `BLEU cuts texts as mteval-v13a does`() throws {
    for line in try golden["bleu"]["tokens"].array() {
      let found = BLEUTokens(try line["text"].string()).tokens
      #expect(found == (try line["tokens"].strings()).map { ScalarText($0) })
    }
  }

  @Test(arguments: [false, true], ROUGE.Kind.allCases)
  func `ROUGE has the scores of rouge-score`(usesStemmer: Bool, kind: ROUGE.Kind) throws {
    let rouge = ROUGE(usesStemmer: usesStemmer)
    for row in try golden["rouge"].array() {
      let reference = try row["reference"].string()
      let found = rouge.score(try row["output"].string(), reference: reference, kind)
      let expected = try row[usesStemmer ? "stems" : "words"][kind.rawValue].doubles()
      for (a, b) in zip([found.precision, found.recall, found.f1], expected) {
        #expect(near(a, b), "\(reference)")
      }
    }
  }

  @Test func `stems are those of NLTK`() throws {
    let stemmer = PorterStemmer()
    for pair in try golden["stems"].array().map({ try $0.strings() }) {
      #expect(stemmer.stem(pair[0]) == pair[1], "\(pair[0])")
    }
  }

  @Test func `entities and their F1 are those of seqeval`() throws {
    for corpus in try golden["entities"].array() {
      var tally = EntityTally()
      let truths = try corpus["truths"].array().map { try $0.strings() }
      let guesses = try corpus["guesses"].array().map { try $0.strings() }
      for (truth, guess) in zip(truths, guesses) { tally.add(truth: truth, guess: guess) }
      #expect(near(tally.micro.precision, try corpus["precision"].double()))
      #expect(near(tally.micro.recall, try corpus["recall"].double()))
      #expect(near(tally.micro.f1, try corpus["micro"].double()))
      #expect(near(tally.macroF1, try corpus["macro"].double()))
      for (truth, spans) in zip(truths, try corpus["spans"].array()) {
        let expected = try spans.array().map { span in
          let parts = try span.array()
          let (first, last) = (try parts[1].int(), try parts[2].int())
          return EntitySpan(type: try parts[0].string(), words: first..<(last + 1))
        }
        #expect(EntitySpan.spans(of: truth) == expected)
      }
    }
  }

  @Test func `F1 and Matthews' coefficient are those of scikit-learn`() throws {
    for row in try golden["classes"].array() {
      var tally = ClassTally<Int>()
      let truths = try row["truths"].array().map { try $0.int() }
      let guesses = try row["guesses"].array().map { try $0.int() }
      for (truth, guess) in zip(truths, guesses) { tally.add(truth: truth, guess: guess) }
      #expect(near(tally.micro.f1, try row["micro"].double()))
      #expect(near(tally.micro.f1, tally.accuracy))
      #expect(near(tally.macroF1, try row["macro"].double()))
      #expect(near(tally.matthews, try row["matthews"].double()))
      for (label, expected) in zip(tally.labels, try row["each"].doubles()) {
        #expect(near(tally[label].f1, expected))
      }
    }
  }

  @Test func `correlations are those of SciPy`() throws {
    for row in try golden["correlations"].array() {
      let (x, y) = (try row["x"].doubles(), try row["y"].doubles())
      let (pearson, spearman) = (Correlation.pearson(x, y), Correlation.spearman(x, y))
      #expect(abs(try #require(pearson) - row["pearson"].double()) < 1e-9)
      #expect(abs(try #require(spearman) - row["spearman"].double()) < 1e-9)
    }
  }

  @Test func `answers overlap as in SQuAD's script`() throws {
    for row in try golden["overlaps"].array() {
      var overlap = AnswerOverlap()
      overlap.add(try row["output"].string(), references: try row["references"].strings())
      #expect(overlap.exactMatch == (try row["exact"].double()), "\(row.foundationValue ?? "")")
      #expect(near(overlap.f1, try row["f1"].double()), "\(row.foundationValue ?? "")")
    }
  }
}

extension JSONNode {
  fileprivate func strings() throws -> [String] { try array().map { try $0.string() } }
  fileprivate func doubles() throws -> [Double] { try array().map { try $0.double() } }
}
