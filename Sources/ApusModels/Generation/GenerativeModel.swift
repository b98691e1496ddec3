public import ApusBase
public import ApusCore
public import ApusTorch

/// What a model keeps of the tokens that it has read, so that the next one costs little.
public protocol GenerationMemory: AnyObject {
  /// Goes on with these rows instead, each as often as it is named: the step between beams.
  func select(_ rows: [Int])
}

extension KeyValueCache: GenerationMemory {}

/// How a model stands before the first token that it writes.
///
/// - Shapes: B rows, V vocabulary.
public struct GenerationStart<Memory: GenerationMemory> {
  /// What the model has read, one row an input.
  public let memory: Memory
  /// What each output goes on from: a prompt, or the start token of a decoder beside an encoder.
  public let beginnings: [[Int]]
  /// Scores of the first token [B, V] in float32.
  public let logits: Tensor

  /// Collects the start.
  public init(memory: Memory, beginnings: [[Int]], logits: Tensor) {
    self.memory = memory
    self.beginnings = beginnings
    self.logits = logits
  }
}

/// A model that writes token after token: a decoder, or an encoder–decoder.
///
/// Both steps run without a graph and without dropout.
public protocol GenerativeModel: Module {
  /// What is kept between tokens.
  associatedtype Memory: GenerationMemory

  /// Reads the inputs.
  ///
  /// - Parameters:
  ///   - inputs: Token ids of each prompt or source text, without padding.
  ///   - newTokens: Tokens that are going to be written at most.
  /// - Returns: A memory with a row for each input, and the scores of its first token.
  /// - Throws: ``ApusError`` `.invalidData` if there is no place for so many tokens.
  func begin(
    _ inputs: [[Int]], newTokens: Int
  ) throws(ApusError) -> GenerationStart<Memory>

  /// Reads one more token of every row of the memory, and scores what follows [B, V] in float32.
  func next(after tokens: [Int], _ memory: Memory) throws(ApusError) -> Tensor
}

extension CausalLanguageModel: GenerativeModel {
  public func begin(
    _ inputs: [[Int]], newTokens: Int
  ) throws(ApusError) -> GenerationStart<KeyValueCache> {
    let batch = try TokenBatch(inputs, device: device)
    try check(batch)
    try requirePlace(for: batch.layout.maxLength + newTokens)
    let cache = KeyValueCache()
    let lasts = inputs.map(\.count).reduce(into: [Int]()) { $0.append(($0.last ?? -1) + $1) }
    let logits = withoutGradient {
      let rows = hidden(batch, cache: cache)
      return scores(
        rows.indexSelected(0, Tensor(lasts, shape: [lasts.count]).to(device: rows.device)))
    }
    try Tensor.check("generation")
    return GenerationStart(memory: cache, beginnings: inputs, logits: logits)
  }

  public func next(
    after tokens: [Int], _ memory: KeyValueCache
  ) throws(ApusError) -> Tensor {
    let batch = try TokenBatch(tokens.map { [$0] }, device: device)
    let logits = withoutGradient { scores(hidden(batch, cache: memory)) }
    try Tensor.check("generation")
    return logits
  }
}
