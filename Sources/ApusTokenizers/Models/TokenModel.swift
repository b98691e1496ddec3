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
struct ModelToken {
  /// Its place in the vocabulary.
  let place: Int
  /// The scalars that it covers.
  let range: Range<Int>
}

/// The models that a tokenizer.json may name.
enum TokenModels {
  private typealias Make = @Sendable (JSONNode, Vocabulary) throws(ApusError) -> any TokenModel

  private static let kinds: [String: Make] = ["WordPiece": WordPiece.init(reading:vocabulary:)]

  /// The model described by the field `model` of a tokenizer.json.
  static func make(
    reading node: JSONNode, of data: Data, file: String
  ) throws(ApusError) -> any TokenModel {
    // Before 2021 the library wrote WordPiece models without their type.
    let isUntyped = !node["type"].exists && node["max_input_chars_per_word"].exists
    let make: Make =
      isUntyped
      ? WordPiece.init(reading:vocabulary:)
      : try Component.choose(from: kinds, of: "model", reading: node)
    let entries = try VocabularyScanner.entries(at: ["model", "vocab"], of: data, file: file)
    return try make(node, Vocabulary(entries, at: node["vocab"].place))
  }
}
