import ApusBase
import ApusTestSupport
import ApusTokenizers
import Foundation
import Testing

/// all-MiniLM-L6-v2's tokenizer on thousands of texts, compared with the Python library.
@Suite(
  .enabled(if: Oracle.isPresent, Oracle.absence),
  .enabled(if: Places.miniLM != nil, "needs the checkpoint all-MiniLM-L6-v2 in .venv"))
struct RealTextParity {
  static let languages = [
    "amh", "eng", "fra", "hau", "ibo", "lin", "lug", "orm", "run", "tir",
  ]

  @Test(.enabled(if: Places.exists(Places.data), "needs the data sets in ../shared/data"))
  func `ids, types and offsets of real texts equal the library's`() throws {
    var texts = try Places.texts("ag_news/train.jsonl", limit: 1_500)
    texts += try Places.texts("sst2/train.jsonl", limit: 1_000)
    for language in Self.languages {
      texts += try Places.texts("masakhanews/\(language)/test.jsonl", limit: 300)
    }
    #expect(texts.count > 5_000)
    try compare(texts.map { ($0, nil) }, whole: true)
    try compare(texts.map { ($0, nil) }, sampling: 5)
    try compare(Array(zip(texts, texts.dropFirst().map(Optional.some))), sampling: 5)
  }

  @Test func `ids, types and offsets of nasty texts equal the library's`() throws {
    let nasty = [
      "", " ", "\0", "\u{FFFD}", "\r\n", "\r\n\r\n a\r\nb", "👩‍👩‍👧‍👦 🇪🇹🇪🇹 🏳️‍🌈 👍🏽👍", "e\u{301}\u{323}\u{301}",
      "\u{301}", "a\0b\u{FFFD}c", "ሰላም፡ለዓለም።፠", "燕子的歌，「あ」", "한국어 \u{1112}\u{1161}\u{11AB}",
      "[CLS][SEP] [MASK]x[PAD]",
      "##ing ## #", String(repeating: "a", count: 101), String(repeating: "ab", count: 500),
      "İ ı ẞ ß Σς ǆ ŉ", "\u{2028}\u{2029}\u{85}\u{A0}\u{200B}\u{200D}\u{FEFF}\u{AD}",
      "\u{10FFFF}\u{E000}",
    ]
    try compare(nasty.map { ($0, nil) }, whole: true)
    try compare(nasty.flatMap { first in nasty.map { (first, $0) } })
  }

  @Test(arguments: 0..<4)
  func `ids, types and offsets of random scalars equal the library's`(seed: UInt64) throws {
    try compare(Self.randomTexts(seed: seed, count: 1_000).map { ($0, nil) }, whole: true)
  }

  /// Texts of scalars from all over Unicode.
  static func randomTexts(seed: UInt64, count: Int) -> [String] {
    var random = RandomStream(seed: seed)
    let blocks: [Range<UInt32>] = [
      0..<0x80, 0..<0x80, 0x80..<0x250, 0x300..<0x370, 0x370..<0x530, 0x590..<0x700,
      0x900..<0xE80, 0x1000..<0x1400, 0x1AB0..<0x1B00, 0x1D00..<0x2100, 0x2000..<0x2C00,
      0x3000..<0x3400, 0x4E00..<0x4F00, 0xA640..<0xABFF, 0xAC00..<0xAD00, 0x1100..<0x1200,
      0xF900..<0x1_0000, 0x1_1000..<0x1_1800, 0x1_D100..<0x1_D800, 0x1_F300..<0x1_FB00,
      0x2_B700..<0x2_BA00, 0..<0x11_0000,
    ]
    return (0..<count).map { _ in
      var text = String.UnicodeScalarView()
      for _ in 0..<random.integer(below: 40) {
        let block = blocks[random.integer(below: blocks.count)]
        let value = block.lowerBound + UInt32(random.integer(below: block.count))
        text.append(contentsOf: [Unicode.Scalar(value) ?? "a"])
        if random.uniform() < 0.2 { text.append(" ") }
      }
      return String(text)
    }
  }

  @Test func `decoded text equals the library's`() throws {
    let folder = try #require(Places.miniLM)
    let tokenizer = try Tokenizer(contentsOf: folder)
    var random = RandomStream(seed: 5)
    var lists = [[101, 2123, 1005, 1056, 102], [1005, 1055], [999_999, -3, 100], []]
    for _ in 0..<300 {
      lists.append((0..<20).map { _ in random.integer(below: tokenizer.vocabularySize) })
    }
    for skip in [true, false] {
      // The library takes no negative ids.
      let requests = lists.map { ["decode": $0.filter { $0 >= 0 }, "skip": skip] as [String: Any] }
      let answers = try Oracle.answers(
        requests, tokenizer: folder.appending(path: "tokenizer.json"))
      for (ids, answer) in zip(lists, answers) {
        let text = tokenizer.decode(ids, skipSpecialTokens: skip)
        #expect(Array(text.utf8) == (answer as? String).map { Array($0.utf8) }, "\(ids)")
      }
    }
  }

  /// Compares one text in `sampling` with the library, cut and padded as the file says or whole.
  private func compare(
    _ texts: [(String, String?)], sampling: Int = 1, whole: Bool = false
  ) throws {
    let folder = try #require(Places.miniLM)
    let tokenizer = try Tokenizer(contentsOf: folder)
    let chosen = stride(from: 0, to: texts.count, by: sampling).map { texts[$0] }
    let requests = chosen.map { text, pair -> [String: Any] in
      pair.map { ["encode": text, "pair": $0] } ?? ["encode": text]
    }
    let answers = try Oracle.answers(
      requests, tokenizer: folder.appending(path: "tokenizer.json"), whole: whole)
    var differences: [String] = []
    for ((text, pair), answer) in zip(chosen, answers) {
      let encoding = try tokenizer.encode(
        text, pair: pair, truncation: whole ? .off : nil, padding: whole ? .off : nil)
      guard let difference = encoding.difference(from: answer) else { continue }
      differences.append("\(text.debugDescription), \(pair.debugDescription): \(difference)")
    }
    #expect(
      differences.isEmpty, "\(differences.count) of \(chosen.count): \(differences.prefix(3))")
  }
}
