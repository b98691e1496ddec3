import ApusBase
import ApusTestSupport
import Foundation
import Testing

@testable import ApusTokenizers

@Suite struct MalformedSubwordFiles {
  /// What is replaced in a golden file, by what, and the field and the words of the error.
  static let cases: [(file: String, part: String, new: String, field: String, words: String)] = [
    ("gpt2", #""merges":[["#, #""merges":[["never","#, "model.merges[0]", "two tokens"),
    ("gpt2", #""merges":[["#, #""merges":[["never","x"],["#, "model.merges[0]", "no token"),
    ("gpt2", #""merges":["#, #""mergs":["#, "model.merges", "found nothing"),
    ("gpt2", #""dropout":null"#, #""dropout":0.5"#, "model.dropout", "without dropout"),
    ("gpt2", #""unk_token":null"#, #""unk_token":"?x""#, "model.unk_token", "no unknown token"),
    ("gpt2", #""add_prefix_space":false"#, #""add_prefix_space":7"#, "prefix_space", "true or"),
    ("llama3", #"|\\s+(?!\\S)"#, #"|\\s+(?!\\S"#, "pattern.Regex", "malformed"),
    ("llama3", #"|\\s+(?!\\S)"#, #"|(a)\\1"#, "pattern.Regex", "escape \\1"),
    ("llama3", #"|\\s+(?!\\S)"#, #"|\\p{Greek}"#, "pattern.Regex", "property Greek"),
    ("llama3", #"|\\s+(?!\\S)"#, #"|(a*)*"#, "pattern.Regex", "may be empty"),
    ("llama3", #"|\\s+(?!\\S)"#, #"|a{9,2}"#, "pattern.Regex", "repetition"),
    ("xlmr", #""unk_id":0"#, #""unk_id":99999"#, "model.unk_id", "no token with the id"),
    ("xlmr", #""vocab":["#, #""vocab":[["x","y"],"#, "model.vocab[0]", "its score"),
    ("xlmr", #""precompiled_charsmap":""#, #""precompiled_charsmap":"?"#, "charsmap", "base64"),
    ("xlmr", #""precompiled_charsmap":""#, #""precompiled_charsmap":"////"#, "charsmap", "trie"),
    ("xlmr", #""prepend_scheme":"always""#, #""prepend_scheme":"often""#, "scheme", "no scheme"),
    ("roberta", #""sep":["</s>",2]"#, #""sep":["</s>"]"#, "post_processor.sep", "1 values"),
  ]

  @Test(arguments: cases.indices)
  func `a wrong field is named, with what is wrong`(index: Int) throws {
    let (name, part, new, field, words) = Self.cases[index]
    let file = Places.fixtures.appending(path: "subword/\(name)/tokenizer.json")
    let sound = try String(contentsOf: file, encoding: .utf8)
    let broken = sound.replacingOccurrences(of: part, with: new)
    try #require(broken != sound)
    let error = try #require(throws: ApusError.self) {
      try Tokenizer(parsing: Data(broken.utf8), file: "tokenizer.json")
    }
    #expect(error.location.contains(field), "\(error)")
    #expect(error.problem.contains(words), "\(error)")
  }

  @Test(arguments: ["gpt2", "llama3", "llama2", "clip", "t5", "unigram-bytes"])
  func `no mutation of a file makes reading or encoding trap`(name: String) throws {
    let file = Places.fixtures.appending(path: "subword/\(name)/tokenizer.json")
    let sound = [UInt8](try Data(contentsOf: file))
    var random = RandomStream(seed: 3).substream(name)
    let alphabet = Array(#"{}[]",:0-1e\u tfn#A9()*+?|"#.utf8) + [0x00, 0x0A, 0xC3, 0xFF]
    for _ in 0..<150 {
      var bytes = sound
      for _ in 0...random.integer(below: 3) {
        // Mostly before the vocabulary, where the steps are described.
        let reach = random.integer(below: 3) == 0 ? bytes.count : min(bytes.count, 1_500)
        let place = random.integer(below: reach)
        switch random.integer(below: 3) {
        case 0: bytes[place] = alphabet[random.integer(below: alphabet.count)]
        case 1: bytes.insert(alphabet[random.integer(below: alphabet.count)], at: place)
        default:
          bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.integer(below: 9)))
        }
      }
      guard let tokenizer = try? Tokenizer(parsing: Data(bytes), file: "mutant") else { continue }
      _ = try? tokenizer.encode("I'll fly <s> 12  燕\u{301}\n", pair: "a\0b")
      _ = tokenizer.decode(-1..<99)
    }
  }

  /// A sentencepiece BPE model of five pieces, written by hand.
  static let model: [UInt8] = {
    func field(_ number: UInt8, _ content: [UInt8]) -> [UInt8] {
      [number << 3 | 2, UInt8(truncatingIfNeeded: content.count)] + content
    }
    func piece(_ text: String, _ score: Float, _ kind: UInt8) -> [UInt8] {
      let bits = (0..<4).map { UInt8(truncatingIfNeeded: score.bitPattern >> ($0 * 8)) }
      return field(1, field(1, Array(text.utf8)) + [2 << 3 | 5] + bits + [3 << 3, kind])
    }
    let pieces = [
      piece("<unk>", 0, 2), piece("<s>", 0, 3), piece("</s>", 0, 3), piece("\u{2581}a", -1, 1),
      piece("\u{2581}", -2, 1), piece("a", -3, 1),
    ]
    return pieces.flatMap { $0 } + field(2, [3 << 3, 2])
  }()

  @Test func `a sentencepiece model is read, and a cut or mutated one never traps`() throws {
    let folder = try TemporaryFolder()
    let file = folder("tokenizer.model")
    try Data(Self.model).write(to: file)
    let tokenizer = try Tokenizer(contentsOf: folder.url)
    #expect(try tokenizer.encode("a ab").ids == [1, 3, 3, 0])
    #expect(tokenizer.decode([1, 3, 3]) == "a a")
    var random = RandomStream(seed: 9)
    for round in 0..<(Self.model.count + 400) {
      var bytes = Array(Self.model.prefix(round < Self.model.count ? round : .max))
      if round >= Self.model.count {
        bytes[random.integer(below: bytes.count)] = UInt8(random.integer(below: 256))
      }
      try Data(bytes).write(to: file)
      guard let tokenizer = try? Tokenizer(contentsOf: file) else { continue }
      _ = try tokenizer.encode("a <s> b")
      _ = tokenizer.decode(0..<9)
    }
  }
}
