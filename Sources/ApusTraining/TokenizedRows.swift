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

  /// Number of rows.
  public var count: Int { ids.count }

  /// Tokenizes a data set on all cores.
  ///
  /// - Parameters:
  ///   - dataset: Texts, or pairs of texts.
  ///   - tokenizer: That of the checkpoint.
  ///   - maxLength: Tokens of a row at most, special tokens included; longer ones are cut.
  /// - Throws: ``ApusError`` `.invalidConfig` if the special tokens alone exceed `maxLength`.
  public init(
    _ dataset: Dataset, tokenizer: Tokenizer, maxLength: Int
  ) throws(ApusError) {
    let examples = dataset.examples
    let chunk = 256
    let chunks = (examples.count + chunk - 1) / chunk
    let parts = Mutex([Int: Result<[Encoding], ApusError>]())
    DispatchQueue.concurrentPerform(iterations: chunks) { part in
      let rows = examples[(part * chunk)..<min((part + 1) * chunk, examples.count)]
      let encoded = Result { () throws(ApusError) -> [Encoding] in
        var encodings: [Encoding] = []
        for row in rows {
          encodings.append(
            try tokenizer.encode(
              row.text, pair: row.pair, truncation: Truncation(maxLength: maxLength),
              padding: .off))
        }
        return encodings
      }
      parts.withLock { $0[part] = encoded }
    }
    let finished = parts.withLock { $0 }
    var ids: [[Int]] = []
    var types: [[Int]] = []
    for part in 0..<chunks {
      for encoding in try finished[part]?.get() ?? [] {
        ids.append(encoding.ids)
        types.append(encoding.typeIDs)
      }
    }
    self.ids = ids
    self.types = types
    labels = examples.compactMap(\.label)
  }

  /// Number of tokens of each row.
  public var lengths: [Int] { ids.map(\.count) }

  /// The rows at these positions, packed for a model.
  func batch(_ positions: [Int], device: Device) throws(ApusError) -> TokenBatch {
    try TokenBatch(
      positions.map { ids[$0] }, types: positions.map { types[$0] }, device: device)
  }

  /// The classes of the rows at these positions [n].
  func targets(_ positions: [Int], device: Device) -> Tensor {
    Tensor(positions.map { labels[$0] }, shape: [positions.count]).to(device: device)
  }
}
