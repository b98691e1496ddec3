import ApusBase
import ApusTestSupport
import ApusTokenizers
import Foundation
import Testing

/// Real BPE and Unigram tokenizers on thousands of texts, compared with the Python library.
@Suite(
  .enabled(if: Oracle.isPresent, Oracle.absence),
  .enabled(if: Places.exists(Places.data), "needs the data sets in ../shared/data"))
struct SubwordParity {
  /// Those of these folders of `../shared` that are there.
  static let tokenizers = [
    "models/pico-llama", "models/pico-clip", "data/tokenizers/clip", "data/tokenizers/gpt2",
    "data/tokenizers/llama2", "data/tokenizers/sp-unigram-en", "data/tokenizers/sp-unigram-ja",
  ].filter { Places.exists(folder($0)) }

  static func folder(_ name: String) -> URL {
    Places.data.deletingLastPathComponent().appending(path: name)
  }

  static let texts: [String] = {
    var texts: [String] = []
    func add(_ file: String, _ limit: Int, _ fields: [String] = ["text", "body"]) {
      texts += (try? Places.texts(file, limit: limit, fields: fields)) ?? []
    }
    add("ag_news/train.jsonl", 700)
    add("sst2/train.jsonl", 500)
    for language in RealTextParity.languages {
      add("masakhanews/\(language)/test.jsonl", language == "amh" || language == "tir" ? 300 : 150)
    }
    add("gsm8k/test.jsonl", 300, ["question", "answer"])
    add("qmsum/academic_test.jsonl", 20, ["query", "context"])
    let wiki = try? String(
      contentsOf: Places.data.appending(path: "wikitext2/test.txt"), encoding: .utf8)
    texts += (wiki ?? "").split(separator: "\n").prefix(600).map(String.init)
    return texts
  }()

  static let nasty = [
    "", " ", "  ", "\0", "\u{FFFD}", "\r\n", "\r\n\r\n a\r\nb", "👩‍👩‍👧‍👦 🇪🇹🇪🇹 🏳️‍🌈 👍🏽👍",
    "e\u{301}\u{323}\u{301}", "\u{301}", "a\0b\u{FFFD}c", "ሰላም፡ለዓለም።፠", "燕子的歌，「あ」ｶﾞ㍿",
    "한국어 \u{1112}\u{1161}\u{11AB}", "<s></s> <unk>x<pad><|endoftext|> y <|startoftext|>",
    "▁▁ ▁a ▁", "I'll don't WE'RE 's'S'ſ", "12345 1½ ²³ ٣ Ⅳ", String(repeating: "a", count: 300),
    String(repeating: "ab ", count: 300), String(repeating: " ", count: 200) + "x",
    "İ ı ẞ ß Σς ǆ ŉ ﬁ ﷺ", "\u{2028}\u{2029}\u{85}\u{A0}\u{200B}\u{200D}\u{FEFF}\u{AD}",
    "\u{10FFFF}\u{E000}", "\t\ttab\n\n\nlines  \n x", " lead", "trail ", "<0x41><0xE2>",
    "क्षत्रिय नमस्ते ไทย עִבְרִית",
  ]

  @Test(arguments: tokenizers)
  func `ids, offsets and decoded text equal the library's`(name: String) throws {
    #expect(Self.texts.count > 3_000)
    try compare(name, Self.texts + Self.nasty)
  }

  @Test(arguments: tokenizers)
  func `random scalars give what the library gives`(name: String) throws {
    try compare(name, RealTextParity.randomTexts(seed: 7, count: 1_000))
  }

  private func compare(_ name: String, _ texts: [String]) throws {
    let folder = Self.folder(name)
    try Oracle.withTokenizerFile(of: folder) { json in
      try compare(try Tokenizer(contentsOf: folder), json, texts)
    }
  }

  private func compare(_ tokenizer: Tokenizer, _ json: URL, _ texts: [String]) throws {
    let answers = try Oracle.answers(texts.map { ["encode": $0] }, tokenizer: json)
    var differences: [String] = []
    var lists: [[Int]] = []
    for (text, answer) in zip(texts, answers) {
      let encoding = try tokenizer.encode(text)
      lists.append(encoding.ids)
      guard let difference = encoding.difference(from: answer) else { continue }
      differences.append("\(text.debugDescription): \(difference)")
    }
    let decoded = try Oracle.answers(
      lists.enumerated().map { ["decode": $1, "skip": $0 % 2 == 0] }, tokenizer: json)
    for (index, (ids, answer)) in zip(lists, decoded).enumerated() {
      let text = tokenizer.decode(ids, skipSpecialTokens: index % 2 == 0)
      guard Array(text.utf8) != (answer as? String).map({ Array($0.utf8) }) else { continue }
      differences.append("\(ids): Apus \(text.debugDescription), library \(answer)")
    }
    #expect(
      differences.isEmpty, "\(differences.count) of \(texts.count): \(differences.prefix(3))")
  }
}
