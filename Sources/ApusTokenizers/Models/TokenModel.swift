import ApusBase
import Foundation

/// The step that cuts a word into tokens of its vocabulary.
protocol TokenModel: Sendable {
  var vocabulary: Vocabulary { get }

  /// Appends the tokens of the word that is the part `range` of `scalars`.
  func tokenize(
    _ scalars: ContiguousArray<Unicode.Scalar>, _ range: Range<Int>,
    into tokens: inout [ModelToken])
}

/// A token found in a word.
struct ModelToken: Sendable {
  /// Its place in the vocabulary.
  let place: Int
  /// The scalars that it covers.
  let range: Range<Int>
  /// Whether it is shown as the text it covers, as Unigram does with unknown text.
  var isVerbatim = false

  /// The same token in a word that begins `distance` scalars further on.
  @inline(__always)
  func moved(by distance: Int) -> ModelToken {
    ModelToken(
      place: place, range: (range.lowerBound + distance)..<(range.upperBound + distance),
      isVerbatim: isVerbatim)
  }
}

/// The field `model` of a tokenizer.json, and the file's bytes.
struct ModelSource {
  let node: JSONNode
  let data: Data
  let file: String

  /// The field `vocab`, an object of tokens and ids.
  func vocabulary() throws(ApusError) -> Vocabulary {
    let entries = try VocabularyScanner.entries(at: ["model", "vocab"], of: data, file: file)
    return try Vocabulary(entries, at: node["vocab"].place)
  }

  /// The rows of a list such as `merges`.
  func rows(of key: String) throws(ApusError) -> [[VocabularyScanner.Cell]] {
    try VocabularyScanner.rows(at: ["model", key], of: data, file: file)
  }
}

/// The models that a tokenizer.json may name.
enum TokenModels {
  private typealias Make = @Sendable (ModelSource) throws(ApusError) -> any TokenModel

  private static let kinds: [String: Make] = [
    "BPE": BPE.init(reading:),
    "Unigram": Unigram.init(reading:),
    "WordPiece": WordPiece.init(reading:),
  ]

  /// The model described by the field `model` of a tokenizer.json.
  static func make(
    reading node: JSONNode, of data: Data, file: String
  ) throws(ApusError) -> any TokenModel {
    let source = ModelSource(node: node, data: data, file: file)
    if !node["type"].exists {
      // Before 2021 the library wrote models without their type.
      if node["merges"].exists { return try BPE(reading: source) }
      if node["max_input_chars_per_word"].exists { return try WordPiece(reading: source) }
    }
    return try Component.choose(from: kinds, of: "model", reading: node)(source)
  }
}
