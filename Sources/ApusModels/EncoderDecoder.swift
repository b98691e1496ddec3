internal import ApusBase
internal import ApusCore
internal import ApusTorch

/// An architecture that reads a source text and writes another: what sequence-to-sequence models
/// stand on.
///
/// - Shapes: S rows of sources, T rows of targets, B examples, D hidden size, V vocabulary.
protocol EncoderDecoder: Module {
  /// The table of the vocabulary [V, D], which sources, targets and outputs share.
  var shared: Embedding { get }
  /// What the decoder's rows are multiplied by before the table, where the table is the output.
  var outputScale: Double { get }
  /// Whether a bias of the vocabulary stands beside the output layer.
  var hasOutputBias: Bool { get }

  /// Refuses tokens that the tables do not have.
  ///
  /// - Throws: ``ApusError`` `.invalidData` that names the bound.
  func checkSource(_ batch: TokenBatch) throws(ApusError)

  /// As ``checkSource(_:)``, for what is written.
  func checkTarget(_ batch: TokenBatch) throws(ApusError)

  /// Vectors of all source tokens [S, D].
  func encoded(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor

  /// Vectors of whole targets [T, D], or of one more token of every text where the plan is a step.
  func decoded(_ batch: TokenBatch, _ plan: TargetPlan, _ pass: ForwardPass) -> Tensor

  /// Tokens of the decoder for each head, so that a plan can be made.
  var decoderHeads: Int { get }

  /// What the decoder reads where it is to write these tokens.
  func decoderInput(for target: [Int]) -> [Int]

  /// The token that a text begins from.
  var startToken: Int { get }
}

extension EncoderDecoder {
  /// The start token, and all but the last one.
  func decoderInput(for target: [Int]) -> [Int] { [startToken] + target.dropLast() }
}
