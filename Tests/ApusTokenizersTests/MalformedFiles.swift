import ApusBase
import ApusTestSupport
import ApusTokenizers
import Foundation
import Testing

@Suite struct MalformedFiles {
  /// A complete small tokenizer.json; each case below replaces one part of it.
  static let sound = """
    {"version": "1.0", "truncation": {"max_length": 8, "strategy": "LongestFirst", "stride": 0},
    "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null,
    "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"}, "added_tokens": [{"id": 1, "content":
    "[UNK]", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
    "special": true}], "normalizer": {"type": "BertNormalizer", "clean_text": true,
    "handle_chinese_chars": true, "strip_accents": null, "lowercase": true}, "pre_tokenizer":
    {"type": "BertPreTokenizer"}, "post_processor": {"type": "TemplateProcessing", "single":
    [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}}}, "decoder":
    {"type": "WordPiece", "prefix": "##", "cleanup": true}, "model": {"type": "WordPiece",
    "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
    "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "a": 3, "##b": 4}}}
    """

  /// What is replaced, by what, and the field and the words that the error must name.
  static let cases: [(part: String, new: String, field: String, words: String)] = [
    (#""vocab": {"#, #""words": {"#, "model.vocab", "found nothing"),
    (#"{"[PAD]": 0"#, #"{"[PAD]": "0""#, "model.vocab", "whole number as id of \"[PAD]\""),
    (#"{"[PAD]": 0"#, #"{"[PAD]": -1"#, "model.vocab", "has the id -1"),
    (#"{"[PAD]": 0"#, #"{"[PAD]": 3000000000"#, "model.vocab", "has the id 3000000000"),
    (#"{"[PAD]": 0"#, #"{"[PAD]": 1e99"#, "model.vocab", "whole number"),
    (#"{"[PAD]": 0"#, #"{"[PAD]": 3"#, "model.vocab", "both have the id 3"),
    (#"{"[PAD]": 0"#, #"{"a": 0"#, "model.vocab", "\"a\" occurs twice"),
    (#""[UNK]": 1"#, #""unk": 1"#, "model.unk_token", "no unknown token"),
    (#"_word": 100"#, #"_word": -1"#, "model.max_input_chars_per_word", "negative"),
    (#""type": "WordPiece","#, #""type": "WordLevel","#, "model.type", "no model \"WordLevel\""),
    (#""unk_token": "[UNK]""#, #""unk_token": 7"#, "model.unk_token", "expected a string"),
    ("\"BertNormalizer\"", "\"Nmt\"", "normalizer.type", "no normalizer \"Nmt\""),
    (#""clean_text": true"#, #""clean_text": 1"#, "normalizer.clean_text", "true or false"),
    ("\"BertPreTokenizer\"", "\"Nmt\"", "pre_tokenizer.type", "no pre-tokenizer"),
    ("\"TemplateProcessing\"", "\"Nmt\"", "post_processor.type", "no post-processor"),
    (#""ids": [2]"#, #""ids": [2, 3]"#, "special_tokens.[CLS]", "1 tokens and 2 ids"),
    (
      #"[{"SpecialToken": {"id": "[CLS]""#, #"[{"SpecialToken": {"id": "x""#, "special_tokens.x",
      "found nothing"
    ),
    (#"{"id": "A", "type_id": 0}}],"#, #"{"id": "B", "type_id": 0}}],"#, "single", "second one"),
    (#""max_length": 8"#, #""max_length": -8"#, "truncation.max_length", "negative"),
    (#""max_length": 8"#, #""max_length": 1e40"#, "truncation.max_length", "whole number"),
    ("LongestFirst", "LongestLast", "truncation.strategy", "no strategy"),
    (#"{"Fixed": 8}"#, #"{"Fixed": 99999999999}"#, "padding", "not sane"),
    (#"{"Fixed": 8}"#, #"{"Fixd": 8}"#, "padding.strategy", "expected a string"),
    (#"[{"id": 1,"#, #"[{"id": 2,"#, "added_tokens[0]", "should have the id 1"),
    (#""lstrip": false,"#, "", "added_tokens[0].lstrip", "found nothing"),
    (#""version": "1.0""#, #""version": "9""#, "version", "expected version 1.0"),
  ]

  @Test(arguments: cases.indices)
  func `a wrong field is named, with what is wrong`(index: Int) throws {
    let (part, new, field, words) = Self.cases[index]
    let broken = Self.sound.replacingOccurrences(of: part, with: new)
    try #require(broken != Self.sound)
    let error = try #require(throws: ApusError.self) {
      try Tokenizer(parsing: Data(broken.utf8), file: "tokenizer.json")
    }
    #expect(error.location.hasPrefix("tokenizer.json, ") && error.location.contains(field))
    #expect(error.problem.contains(words), "\(error)")
  }

  @Test func `the sound file is read`() throws {
    let tokenizer = try Tokenizer(parsing: Data(Self.sound.utf8), file: "tokenizer.json")
    #expect(try tokenizer.encode("Ab").ids == [2, 3, 4, 0, 0, 0, 0, 0])
  }

  @Test func `a truncated file is an error, wherever it ends`() {
    let bytes = Data(Self.sound.utf8)
    for length in 0..<(bytes.count - 1) {
      #expect(throws: ApusError.self) {
        try Tokenizer(parsing: bytes.prefix(length), file: "tokenizer.json")
      }
    }
  }

  @Test(arguments: 0..<8)
  func `no mutation of a file makes reading or encoding trap`(seed: UInt64) throws {
    var random = RandomStream(seed: seed)
    let alphabet = Array(#"{}[]",:0-1e\u tfn#A9"#.utf8) + [0x00, 0x0A, 0xC3, 0xFF]
    for _ in 0..<400 {
      var bytes = Array(Self.sound.utf8)
      for _ in 0...random.integer(below: 3) {
        let place = random.integer(below: bytes.count)
        switch random.integer(below: 4) {
        case 0: bytes[place] = alphabet[random.integer(below: alphabet.count)]
        case 1: bytes.insert(alphabet[random.integer(below: alphabet.count)], at: place)
        case 2: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.integer(below: 9)))
        default:
          let other = random.integer(below: bytes.count)
          bytes.insert(
            contentsOf: bytes[min(place, other)..<max(place, other)].prefix(60), at: place)
        }
      }
      guard let tokenizer = try? Tokenizer(parsing: Data(bytes), file: "mutant") else { continue }
      _ = try? tokenizer.encode("Ab [UNK] 燕\u{301}", pair: "a\0b")
      _ = tokenizer.decode(-1..<9)
    }
  }

  @Test func `missing files are named`() throws {
    let folder = try TemporaryFolder()
    let missing = folder("missing")
    let error = try #require(throws: ApusError.self) { try Tokenizer(contentsOf: missing) }
    #expect(error.code == .fileAccess && error.location == missing.path)
    let empty = try #require(throws: ApusError.self) { try Tokenizer(contentsOf: folder.url) }
    #expect(empty.code == .fileAccess && empty.problem.contains("vocab.txt"))
  }

  @Test(arguments: [
    ("a\nb\n", "\"[CLS]\""), ("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\na\n", "occurs twice"),
    ("", "empty"),
  ])
  func `a wrong vocab.txt is an error`(text: String, words: String) throws {
    let folder = try TemporaryFolder()
    let file = folder("vocab.txt")
    try Data(text.utf8).write(to: file)
    let error = try #require(throws: ApusError.self) { try Tokenizer(contentsOf: file) }
    #expect(error.code == .invalidFile && error.problem.contains(words), "\(error)")
  }
}
