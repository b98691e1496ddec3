import ApusBase

/// What a sentencepiece `.model` file holds: pieces, and how text is normalized.
///
/// - Source: sentencepiece, `sentencepiece_model.proto`.
struct SentencePieceModel {
  enum Algorithm: UInt64 {
    case unigram = 1
    case bpe = 2
    case word = 3
    case character = 4
  }

  enum Kind: UInt64 {
    case normal = 1
    case unknown = 2
    case control = 3
    case userDefined = 4
    case unused = 5
    case byte = 6
  }

  struct Piece {
    var text = ""
    var score: Float = 0
    var kind = Kind.normal
  }

  private(set) var pieces: [Piece] = []
  private(set) var algorithm = Algorithm.unigram
  private(set) var fallsBackToBytes = false
  private(set) var charsmap: [UInt8] = []
  private(set) var addsPrefix = true
  private(set) var removesExtraSpaces = true
  private let place: String

  /// Reads the bytes of a file.
  ///
  /// - Parameters:
  ///   - bytes: The file's bytes.
  ///   - place: The file's name, for errors.
  /// - Throws: ``ApusError`` `.invalidFile` if they are no such model.
  init(_ bytes: [UInt8], at place: String) throws(ApusError) {
    self.place = place
    var reader = ProtobufReader(bytes[...], at: place)
    while let (field, value) = try reader.next() {
      guard case .bytes(let content) = value else { continue }
      switch field {
      case 1: pieces.append(try piece(content))
      case 2: try readTrainer(content)
      case 3: try readNormalizer(content)
      default: break
      }
    }
    guard !pieces.isEmpty else { throw wrong("there are no pieces", at: "pieces") }
  }

  private func piece(_ content: ArraySlice<UInt8>) throws(ApusError) -> Piece {
    let place = "\(place), pieces[\(pieces.count)]"
    var reader = ProtobufReader(content, at: place)
    var piece = Piece()
    while let (field, value) = try reader.next() {
      switch (field, value) {
      case (1, .bytes(let bytes)):
        guard let text = String(validating: bytes, as: UTF8.self) else {
          throw wrong("the piece is not UTF-8", at: "pieces[\(pieces.count)]")
        }
        piece.text = text
      case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
      case (3, .number(let number)):
        guard let kind = Kind(rawValue: number) else {
          throw wrong("there is no kind of piece \(number)", at: "pieces[\(pieces.count)]")
        }
        piece.kind = kind
      default: break
      }
    }
    guard piece.score.isFinite else {
      throw wrong("the score is no number", at: "pieces[\(pieces.count)]")
    }
    return piece
  }

  private mutating func readTrainer(_ content: ArraySlice<UInt8>) throws(ApusError) {
    var reader = ProtobufReader(content, at: "\(place), trainer_spec")
    while let (field, value) = try reader.next() {
      switch (field, value) {
      case (3, .number(let number)):
        guard let known = Algorithm(rawValue: number) else {
          throw wrong("there is no algorithm \(number)", at: "trainer_spec.model_type")
        }
        algorithm = known
      case (35, .number(let number)): fallsBackToBytes = number != 0
      default: break
      }
    }
  }

  private mutating func readNormalizer(_ content: ArraySlice<UInt8>) throws(ApusError) {
    var reader = ProtobufReader(content, at: "\(place), normalizer_spec")
    while let (field, value) = try reader.next() {
      switch (field, value) {
      case (2, .bytes(let bytes)): charsmap = Array(bytes)
      case (3, .number(let number)): addsPrefix = number != 0
      case (4, .number(let number)): removesExtraSpaces = number != 0
      default: break
      }
    }
  }

  private func wrong(_ problem: String, at field: String) -> ApusError {
    ApusError(
      .invalidFile, at: "\(place), \(field)", problem, remedy: "Restore the file from its source")
  }
}
