import ApusBase
import ApusTestSupport
import ApusTokenizers
import Foundation
import Testing

/// Random texts of awkward fragments through every golden tokenizer, compared with the library.
@Suite(.enabled(if: Oracle.isPresent, Oracle.absence))
struct RandomTextParity {
  static let fragments = [
    "a", "the", "swift", "x", "--", ".", ",", "'", " ", "  ", "\u{3000}", "\n", "\0", "\u{AD}",
    "é", "e", "É", "\u{301}", "\u{323}", "\u{344}", "\u{327}", "\u{334}", "İ", "ﬁ", "½", "㎏", "Å",
    "가", "각", "\u{1100}", "\u{1161}", "\u{11A8}", "燕", "\u{20000}", "ሰ", "👍", "🏽", "\u{200D}",
    "\u{FE0F}",
    "</s>", "<mask>", "▁", "12", "3", "I'll", "\r", "\t", "[MASK]", "[CLS]", "[", "New York", "new",
    "York", "<word>", "<both>", "<sp>", "<", "##able",
  ]

  @Test(arguments: GoldenParity.cases)
  func `results equal those of the library`(name: String) throws {
    let folder = Places.fixtures.appending(path: name)
    let tokenizer = try Tokenizer(contentsOf: folder)
    var random = RandomStream(seed: 1).substream(name)
    let texts = (0..<200).map { _ in
      (0..<random.integer(below: 24)).map { _ in
        Self.fragments[random.integer(below: Self.fragments.count)]
      }.joined()
    }
    let requests = texts.enumerated().map { index, text -> [String: Any] in
      ["encode": text, "pair": texts[(index + 1) % texts.count], "special": index % 3 > 0]
    }
    let answers = try Oracle.answers(requests, tokenizer: folder.appending(path: "tokenizer.json"))
    for (request, answer) in zip(requests, answers) {
      let text = try #require(request["encode"] as? String)
      let encoding = try? tokenizer.encode(
        text, pair: request["pair"] as? String,
        addSpecialTokens: request["special"] as? Bool ?? true)
      let isRefused = (answer as? [String: Any])?["error"] != nil
      #expect((encoding == nil) == isRefused, "\(text.debugDescription): \(answer)")
      guard let encoding, !isRefused else { continue }
      #expect(encoding.difference(from: answer) == nil, "\(text.debugDescription)")
    }
  }
}
