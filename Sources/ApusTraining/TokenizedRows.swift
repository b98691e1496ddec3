public import ApusBase
public import ApusDatasets
import ApusModels
public import ApusTokenizers
import ApusTorch
import Dispatch
import Synchronization

/// The rows of a data set as a model reads them; made once and shared by all clients.
public struct TokenizedRows: Sendable {
  /// Token ids of each row, special tokens included.
  public let ids: [[Int]]
  /// Segment of each token: 0 for the first text, 1 for the second.
  public let types: [[Int]]
  /// Class of each row; empty if the data set has no labels.
  public let labels: [Int]
  /// The place in each row where what is to be written begins; empty without responses.
  public let responseStarts: [Int]
  /// What is wanted of each row beside a class; empty for tasks without.
  ///
  /// Tags of its tokens (−100 where none counts), tokens to write, first and last token of an
  /// answer, or the place of a mask.
  public let targets: [[Int]]
  /// The texts that outputs are compared with; empty for tasks without.
  public let references: [ReferenceText]
  /// Rows that were cut because they are longer than the limit.
  public let cutCount: Int

  /// Number of rows.
  public var count: Int { ids.count }

  /// Tokenizes texts to classify, on all cores.
  ///
  /// - Parameters:
  ///   - dataset: Texts, or pairs of texts.
  ///   - tokenizer: That of the checkpoint.
  ///   - maxLength: Tokens of a row at most, special tokens included; longer ones are cut.
  /// - Throws: ``ApusError`` `.invalidConfig` if the special tokens alone exceed `maxLength`.
  public init(
    _ dataset: Dataset, tokenizer: Tokenizer, maxLength: Int
  ) throws(ApusError) {
    let rows = try Self.concurrently(dataset.examples) { row throws(ApusError) in
      let encoding = try tokenizer.encode(
        row.text, pair: row.pair, truncation: Truncation(maxLength: maxLength), padding: .off)
      return (ids: encoding.ids, types: encoding.typeIDs)
    }
    ids = rows.map(\.ids)
    types = rows.map(\.types)
    labels = dataset.examples.compactMap(\.label)
    responseStarts = []
    (targets, references) = ([], [])
    cutCount = 0
  }

  /// Tokenizes instructions with their responses, on all cores.
  ///
  /// Prompt and response are tokenized apart, as they are when the model writes.
  ///
  /// - Parameters:
  ///   - dataset: Instructions, inputs and responses.
  ///   - format: How they become a prompt and what is to follow it.
  ///   - maxLength: Tokens of a row at most. Of a longer one, the prompt loses tokens from its front
  ///     down to half of the row, then the response from its end.
  ///   - responseOnly: Whether the prompt's own tokens count nothing.
  /// - Throws: ``ApusError`` `.invalidData` for a row without a response, or that the template of
  ///   the checkpoint refuses.
  public init(
    _ dataset: Dataset, format: PromptFormat, maxLength: Int, responseOnly: Bool
  ) throws(ApusError) {
    let rows = try Self.concurrently(dataset.examples) { row throws(ApusError) in
      try format.row(row, maxLength: maxLength)
    }
    ids = rows.map { $0.prompt + $0.response }
    types = ids.map { $0.map { _ in 0 } }
    labels = dataset.examples.compactMap(\.label)
    responseStarts = rows.map { responseOnly ? $0.prompt.count : 0 }
    (targets, references) = ([], [])
    cutCount = rows.count(where: \.isCut)
  }

  /// Rows of other tasks.
  init(_ rows: [TaskRow], labels: [Int] = []) {
    ids = rows.map(\.ids)
    types = rows.map { $0.types ?? $0.ids.map { _ in 0 } }
    targets = rows.map(\.target)
    references = rows.compactMap(\.reference)
    cutCount = rows.count(where: \.isCut)
    responseStarts = []
    self.labels = labels
  }

  static func concurrently<Row: Sendable>(
    _ examples: [Example], _ read: @Sendable (Example) throws(ApusError) -> Row
  ) throws(ApusError) -> [Row] {
    let chunk = 256
    let chunks = (examples.count + chunk - 1) / chunk
    let parts = Mutex([Int: Result<[Row], ApusError>]())
    DispatchQueue.concurrentPerform(iterations: chunks) { part in
      let own = examples[(part * chunk)..<min((part + 1) * chunk, examples.count)]
      let result = Result { () throws(ApusError) -> [Row] in
        var rows: [Row] = []
        for example in own { rows.append(try read(example)) }
        return rows
      }
      parts.withLock { $0[part] = result }
    }
    let finished = parts.withLock { $0 }
    var rows: [Row] = []
    for part in 0..<chunks { rows += try finished[part]?.get() ?? [] }
    return rows
  }

  /// Number of tokens of each row.
  public var lengths: [Int] { ids.map(\.count) }

  /// The rows at these positions, packed for a model.
  func batch(_ positions: [Int], device: Device) throws(ApusError) -> TokenBatch {
    try TokenBatch(
      positions.map { ids[$0] }, types: positions.map { types[$0] }, device: device)
  }

  /// The same without what is to be written: their prompts, where they have one.
  func prompts(_ positions: [Int], device: Device) throws(ApusError) -> TokenBatch {
    try TokenBatch(
      positions.map { position in
        let start = responseStarts.isEmpty ? 0 : responseStarts[position]
        return start > 0 ? Array(ids[position].prefix(start)) : ids[position]
      }, device: device)
  }

  /// The classes of the rows at these positions [n].
  func targets(_ positions: [Int], device: Device) -> Tensor {
    Tensor(positions.map { labels[$0] }, shape: [positions.count]).to(device: device)
  }

  /// For each token of the rows at these positions the one that is to follow it, −100 if none is.
  func nextTokens(_ positions: [Int]) -> [Int] {
    CausalLanguageModel.targets(positions.map { ids[$0] }) { row, place in
      place >= responseStarts[positions[row]]
    }
  }
}

/// A text that an output is compared with.
public struct ReferenceText: Sendable {
  /// The text that answers come out of, in Unicode scalars; empty where outputs are written.
  let context: [Unicode.Scalar]
  /// Where each token of the row stands in the context; nil for tokens of other texts.
  let offsets: [Range<Int>?]
  /// The text that is right.
  let text: String
}

/// A row of tokens with what is wanted of it.
struct TaskRow: Sendable {
  let ids: [Int]
  var types: [Int]?
  let target: [Int]
  var reference: ReferenceText?
  var isCut = false
}
