/// What a tokenizer makes of a text, or of a pair of texts: one entry per token in every array.
public struct Encoding: Sendable, Equatable {
  /// Row numbers of the model's embedding.
  public internal(set) var ids: [Int] = []
  /// 0 for the first text and its special tokens, 1 for the second, or what the file prescribes.
  public internal(set) var typeIDs: [Int] = []
  /// The tokens as the vocabulary spells them.
  public internal(set) var tokens: [String] = []
  /// Where each token stands in its text, in Unicode scalars; 0..<0 for special tokens and padding.
  public internal(set) var offsets: [Range<Int>] = []
  /// 1 for tokens, 0 for padding.
  public internal(set) var attentionMask: [Int] = []
  /// 1 for special tokens that the tokenizer added and for padding, 0 for tokens of the text.
  public internal(set) var specialTokensMask: [Int] = []

  /// Number of tokens, padding included.
  public var count: Int { ids.count }

  /// Appends the tokens of a text.
  mutating func append(_ run: TokenRun, typeID: Int) {
    ids.append(contentsOf: run.ids)
    tokens.append(contentsOf: run.tokens)
    offsets.append(contentsOf: run.offsets)
    typeIDs.append(contentsOf: repeatElement(typeID, count: run.count))
    attentionMask.append(contentsOf: repeatElement(1, count: run.count))
    specialTokensMask.append(contentsOf: repeatElement(0, count: run.count))
  }

  /// Appends a token that stands for no text.
  mutating func append(special token: String, id: Int, typeID: Int) {
    ids.append(id)
    tokens.append(token)
    offsets.append(0..<0)
    typeIDs.append(typeID)
    attentionMask.append(1)
    specialTokensMask.append(1)
  }

  /// Lengthens to `length` tokens, if there are fewer, by padding tokens at one end.
  mutating func pad(to length: Int, with padding: Padding) {
    guard count < length else { return }
    let added = length - count
    let place = padding.direction == .left ? 0 : count
    ids.insert(contentsOf: repeatElement(padding.id, count: added), at: place)
    typeIDs.insert(contentsOf: repeatElement(padding.typeID, count: added), at: place)
    tokens.insert(contentsOf: repeatElement(padding.token, count: added), at: place)
    offsets.insert(contentsOf: repeatElement(0..<0, count: added), at: place)
    attentionMask.insert(contentsOf: repeatElement(0, count: added), at: place)
    specialTokensMask.insert(contentsOf: repeatElement(1, count: added), at: place)
  }
}

/// The tokens of one text, before special tokens are added.
struct TokenRun: Sendable {
  var ids: [Int] = []
  var tokens: [String] = []
  var offsets: [Range<Int>] = []

  init(capacity: Int) {
    ids.reserveCapacity(capacity)
    tokens.reserveCapacity(capacity)
    offsets.reserveCapacity(capacity)
  }

  var count: Int { ids.count }

  mutating func append(_ token: String, id: Int, offset: Range<Int>) {
    ids.append(id)
    tokens.append(token)
    offsets.append(offset)
  }

  mutating func setOffset(_ offset: Range<Int>, at index: Int) { offsets[index] = offset }

  /// Keeps `length` tokens, if there are more, and drops those at the other end.
  mutating func shorten(to length: Int, _ direction: TextDirection) {
    guard length < count else { return }
    let range = direction == .left ? (count - length)..<count : 0..<length
    ids = Array(ids[range])
    tokens = Array(tokens[range])
    offsets = Array(offsets[range])
  }
}
