import ApusBase
import ApusTokenizers
import Foundation
import Testing

@Suite struct TokenizerLaws {
  private static func golden(_ name: String) throws -> Tokenizer {
    try Tokenizer(contentsOf: Places.fixtures.appending(path: "wordpiece/\(name)"))
  }

  private static let text = "The swift flies, eats and sleeps unaffably in the air."

  @Test func `truncation given by the caller equals truncation in the file`() throws {
    let (plain, cut) = (try Self.golden("uncased"), try Self.golden("cut-13-OnlySecond"))
    let truncation = try #require(cut.truncation)
    #expect(truncation == Truncation(maxLength: 13, strategy: .onlySecond, direction: .left))
    #expect(
      try plain.encode("the air", pair: Self.text, truncation: truncation)
        == cut.encode("the air", pair: Self.text))
    #expect(
      try plain.encode("the air", pair: Self.text)
        == cut.encode("the air", pair: Self.text, truncation: .off))
  }

  @Test func `padding given by the caller equals padding in the file`() throws {
    let (plain, padded) = (try Self.golden("uncased"), try Self.golden("pad-left"))
    let padding = try #require(padded.padding)
    let texts = ["", "the swift", Self.text]
    #expect(try plain.encode(batch: texts, padding: padding) == padded.encode(batch: texts))
    #expect(try plain.encode(batch: texts) == padded.encode(batch: texts, padding: .off))
  }

  @Test(arguments: [Padding.Length.longest, .fixed(40)])
  func `padding makes a rectangle and hides what it adds`(length: Padding.Length) throws {
    let tokenizer = try Self.golden("uncased")
    let short = try tokenizer.encode(batch: ["", "the swift", Self.text])
    var batch = short
    try tokenizer.pad(&batch, to: length)
    let width = length == .longest ? short.map(\.count).max() : 40
    for (padded, plain) in zip(batch, short) {
      #expect(padded.count == width)
      #expect(padded.attentionMask.reduce(0, +) == plain.count)
      #expect(Array(padded.ids.prefix(plain.count)) == plain.ids)
      #expect(padded.ids.dropFirst(plain.count).allSatisfy { $0 == tokenizer.id(of: "[PAD]") })
    }
  }

  @Test(arguments: ["uncased", "added"])
  func `every id finds its token and every token its id`(name: String) throws {
    let tokenizer = try Self.golden(name)
    for id in 0..<tokenizer.vocabularySize {
      let token = try #require(tokenizer.token(of: id))
      if name == "uncased" { #expect(tokenizer.id(of: token) == id) }
    }
    #expect(tokenizer.token(of: tokenizer.vocabularySize) == nil)
    #expect(tokenizer.token(of: -1) == nil)
    #expect(tokenizer.id(of: "no such token") == nil)
  }

  @Test func `two spellings of a letter are two tokens`() throws {
    let json = MalformedFiles.sound
      .replacingOccurrences(of: #""a": 3"#, with: #""é": 3, "e\u0301": 5"#)
      .replacingOccurrences(of: #""strip_accents": null"#, with: #""strip_accents": false"#)
    let tokenizer = try Tokenizer(parsing: Data(json.utf8), file: "tokenizer.json")
    #expect(tokenizer.id(of: "é") == 3 && tokenizer.id(of: "e\u{301}") == 5)
    #expect(try tokenizer.encode("e\u{301} é", padding: .off).ids == [2, 5, 3])
  }

  @Test func `marks of one base are sorted by class, however many there are`() throws {
    let (tokenizer, count) = (try Self.golden("nfd"), 50_000)
    let tangled = "a" + String(repeating: "\u{301}\u{323}", count: count)
    let sorted =
      "a" + String(repeating: "\u{323}", count: count) + String(repeating: "\u{301}", count: count)
    #expect(try tokenizer.encode(tangled) == tokenizer.encode(sorted))
    #expect(try tokenizer.encode("x\u{301}\u{323}").ids == tokenizer.encode("x\u{323}\u{301}").ids)
  }

  @Test func `no length or text makes encoding trap`() throws {
    let tokenizer = try Self.golden("uncased")
    for length in [Int.min, -1, 0, 1, 2, 3, .max] {
      for strategy in Truncation.Strategy.allCases {
        for direction in TextDirection.allCases {
          let truncation = Truncation(
            maxLength: length, strategy: strategy, direction: direction)
          if let encoding = try? tokenizer.encode(Self.text, pair: "air", truncation: truncation) {
            #expect(encoding.count <= length)
          } else {
            #expect(length < 18)
          }
        }
      }
    }
    for padding in [
      Padding(to: .fixed(-1), id: 0, token: ""), Padding(to: .fixed(.max), id: 0, token: ""),
      Padding(to: .longest, multiple: .max, id: 0, token: ""),
    ] {
      #expect(throws: ApusError.self) { try tokenizer.encode(Self.text, padding: padding) }
    }
    #expect(throws: ApusError.self) { try tokenizer.encode(batch: ["a"], pairs: []) }
  }

  @Test(.enabled(if: Places.miniLM != nil, "needs the checkpoint all-MiniLM-L6-v2 in .venv"))
  func `vocab.txt and tokenizer.json of a checkpoint make the same tokenizer`() throws {
    let folder = try #require(Places.miniLM)
    let json = try Tokenizer(contentsOf: folder)
    let text = try Tokenizer(contentsOf: folder.appending(path: "vocab.txt"))
    #expect(json.vocabularySize == 30_522 && text.vocabularySize == 30_522)
    for line in [Self.text, "", "Café 燕子 [MASK] 👍🏽 \0\r\n don't", "ሰላም ለዓለም"] {
      #expect(
        try text.encode(line, pair: Self.text)
          == json.encode(line, pair: Self.text, truncation: .off, padding: .off))
    }
    #expect(text.decode([2123, 1005, 1056, 102]) == json.decode([2123, 1005, 1056, 102]))
  }
}
