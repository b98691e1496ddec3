import ApusBase
import ApusTestSupport
import Foundation
import Testing

@testable import ApusTokenizers

/// Every assigned Unicode scalar, through every component that looks at scalars.
@Suite(.enabled(if: Oracle.isPresent, Oracle.absence))
struct UnicodeParity {
  static let normalizers = [
    #"{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":false,"strip_accents":false,"lowercase":false}"#,
    #"{"type":"BertNormalizer","clean_text":false,"handle_chinese_chars":true,"strip_accents":false,"lowercase":false}"#,
    #"{"type":"BertNormalizer","clean_text":false,"handle_chinese_chars":false,"strip_accents":true,"lowercase":false}"#,
    #"{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}"#,
    #"{"type":"Lowercase"}"#, #"{"type":"StripAccents"}"#, #"{"type":"NFC"}"#,
    #"{"type":"NFD"}"#, #"{"type":"NFKC"}"#, #"{"type":"NFKD"}"#,
  ]
  static let preTokenizers =
    [
      #"{"type":"BertPreTokenizer"}"#, #"{"type":"Punctuation","behavior":"Isolated"}"#,
      #"{"type":"Whitespace"}"#, #"{"type":"WhitespaceSplit"}"#,
      #"{"type":"Digits","individual_digits":true}"#,
    ]
    + [#"\\p{L}"#, #"\\p{N}"#, #"\\p{M}"#, #"\\p{P}"#, #"\\p{S}"#, #"\\p{Lu}"#, #"\\s"#, #"\\w"#]
    .map {
      #"{"type":"Split","pattern":{"Regex":"\#($0)"},"behavior":"Isolated","invert":false}"#
    }

  /// Planes 0 to 2, and a sample of the rest, where nothing but tags and private use is assigned.
  static let scalars =
    ((0..<0x3_0000).map { UInt32($0) } + [UInt32](0xE_0000..<0xE_0200)
    + stride(from: UInt32(0x3_0000), to: 0x11_0000, by: 61)).compactMap(Unicode.Scalar.init)

  /// The scalars, 128 to a line, each between marks that sort by combining class around it.
  static let lines: [String] = stride(from: 0, to: scalars.count, by: 128).map { start in
    var line = String.UnicodeScalarView()
    for scalar in scalars[start...].prefix(128) {
      line.append(contentsOf: ["x", scalar, "\u{315}", scalar, "\u{327}"])
    }
    return String(line)
  }

  @Test(arguments: normalizers)
  func `every scalar is normalized as the library does`(component: String) throws {
    let tokenizer = try Probe(normalizer: component, preTokenizer: "null")
    let answers = try tokenizer.answers(Self.lines.map { ["normalize": $0] })
    for (line, answer) in zip(Self.lines, answers) {
      let answer = try #require(answer as? String)
      var text = NormalizedText(line)
      tokenizer.tokenizer.normalizer?.normalize(&text)
      guard !text.scalars.elementsEqual(answer.unicodeScalars) else { continue }
      let (mine, theirs) = (Array(text.scalars), Array(answer.unicodeScalars))
      let place = zip(mine, theirs).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
      Issue.record(
        "Apus \(mine[max(0, place - 3)...].prefix(8)), library \(theirs[max(0, place - 3)...].prefix(8))"
      )
    }
  }

  @Test(arguments: preTokenizers)
  func `every scalar is cut as the library does`(component: String) throws {
    let tokenizer = try Probe(normalizer: "null", preTokenizer: component)
    let answers = try tokenizer.answers(Self.lines.map { ["pieces": $0] })
    for (line, answer) in zip(Self.lines, answers) {
      let rows = try #require(answer as? [[Any]])
      let theirs = rows.map { "\($0[1])..<\($0[2])" }
      let mine = tokenizer.tokenizer.split(line).pieces.map { "\($0.range)" }
      guard mine != theirs else { continue }
      let place = zip(mine, theirs).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
      let scalars = Array(line.unicodeScalars)[(Int(mine[place].prefix { $0 != "." }) ?? 0)...]
      Issue.record("\(scalars.prefix(8)): \(mine[place]), library \(theirs[place])")
    }
  }

  /// A tokenizer of one component, here and in the library.
  private struct Probe {
    let tokenizer: Tokenizer
    private let json: Data

    init(normalizer: String, preTokenizer: String) throws {
      json = Data(
        """
        {"normalizer": \(normalizer), "pre_tokenizer": \(preTokenizer), "model": {"type":
        "WordPiece", "unk_token": "u", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": {"u": 0}}}
        """.utf8)
      tokenizer = try Tokenizer(parsing: json, file: "probe")
    }

    func answers(_ requests: [[String: Any]]) throws -> [Any] {
      try withTemporaryFolder { folder in
        let file = folder.appending(path: "probe.json")
        try json.write(to: file)
        return try Oracle.answers(requests, tokenizer: file)
      }
    }
  }
}
