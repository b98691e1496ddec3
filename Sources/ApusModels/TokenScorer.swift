public import ApusBase
public import ApusCore
public import ApusTorch

/// Gives every token of a text a few scores: tags, or how likely an answer begins and ends there.
///
/// Keys are those of transformers' `…ForTokenClassification` and `…ForQuestionAnswering`.
///
/// - Shapes: T tokens, D hidden size, C scores.
public final class TokenScorer: Module {
  /// What the scores are for.
  public enum Purpose: Sendable, Equatable {
    /// One of so many tags.
    case tags(Int)
    /// The first and the last token of an answer.
    case answer
  }

  /// The layers of the head that were drawn, because the checkpoint has none that fits.
  public override var drawnModules: [String] { drawn }
  /// As in ``CausalLanguageModel/recomputedLeaves``.
  public var recomputedLeaves: (() -> [Tensor])?
  /// What the scores are for.
  public let purpose: Purpose
  private let encoder: Key<any TextEncoder>
  private let head: Key<Linear>
  private let dropout: Dropout
  private let deviation: Double
  private var drawn: [String] = []

  init(
    _ architecture: ModelCatalog.Architecture, _ config: JSONNode, _ purpose: Purpose
  ) throws(ApusError) {
    let encoder = try architecture.makeEncoder(config, false)
    let (name, count) =
      switch purpose {
      case .tags(let count): (architecture.isDecoder ? "score" : "classifier", count)
      case .answer: ("qa_outputs", 2)
      }
    self.encoder = Key(wrappedValue: encoder, architecture.prefix)
    head = Key(wrappedValue: Linear(encoder.hiddenSize, count), name)
    self.purpose = purpose
    dropout = Dropout(try Self.dropout(config, purpose))
    deviation = try config["initializer_range"].number(in: 0...10, default: 0.02)
  }

  /// The dropout that the architecture's own head has.
  private static func dropout(
    _ config: JSONNode, _ purpose: Purpose
  ) throws(ApusError) -> Double {
    let names =
      purpose == .answer
      ? ["qa_dropout"]
      : ["classifier_dropout", "classifier_dropout_prob", "hidden_dropout_prob", "dropout"]
    for name in names where config[name].exists {
      return try config[name].probability(default: 0)
    }
    return 0
  }

  /// Takes the head of the checkpoint if it fits, or draws one.
  func setHead(_ stored: NamedTensors, random: RandomStream, device: Device) throws(ApusError) {
    let all = NamedTensors(
      Dictionary(uniqueKeysWithValues: stored.map { ($0.name, $0.tensor.to(device: device)) }))
    let own = HeadOnly(head)
    drawn = own.takeLayers(of: all, deviation: deviation, random: random, device: device)
    try Tensor.check("head")
  }

  /// Whether the head was drawn.
  public var hasFreshHead: Bool { !drawn.isEmpty }

  /// Names of the head's modules, which train as a whole.
  public var headNames: [String] { [head.name] }

  /// C.
  public var scoreCount: Int { head.wrappedValue.outputs }

  /// Refuses tokens that the model does not have.
  ///
  /// - Throws: ``ApusError`` `.invalidData` that names the bound.
  public func check(_ batch: TokenBatch) throws(ApusError) {
    try encoder.wrappedValue.check(batch)
  }

  /// Scores of every token [T, C] in float32, for training if there is a source of chance.
  public func scores(_ batch: TokenBatch, random: RandomStream?) -> Tensor {
    let pass = ForwardPass(
      layout: batch.layout, random: random, recomputedLeaves: recomputedLeaves?())
    let hidden = encoder.wrappedValue.hidden(batch, pass).to(.float32)
    return head.wrappedValue(dropout(hidden, pass, "head"))
  }

  /// Mean cross entropy over the tokens that have a tag, in nats.
  ///
  /// - Parameters:
  ///   - scores: Of every token [T, C].
  ///   - tags: For each token [T] its tag, or −100 where none counts.
  /// - Returns: The loss, a scalar; 0 if no token counts.
  public static func tagLoss(_ scores: Tensor, tags: Tensor) -> Tensor {
    let counted = (tags .>= 0).to(.float32).sum().item
    return crossEntropy(scores, tags, sum: true) / max(1, counted)
  }

  /// Mean over the examples of the cross entropies of first and last token of the answer, halved.
  ///
  /// - Parameters:
  ///   - scores: Of every token [T, 2].
  ///   - answers: First and last token of each answer, as places in its example.
  ///   - layout: Which tokens belong to which example.
  /// - Returns: The loss in nats, a scalar.
  public static func answerLoss(
    _ scores: Tensor, answers: [(first: Int, last: Int)], _ layout: RowLayout
  ) -> Tensor {
    let (batch, longest) = (layout.exampleCount, layout.maxLength)
    let flags = layout.lengths.flatMap { length in
      (0..<longest).map { $0 < length ? Float(0) : -.infinity }
    }
    let hidden = Tensor(flags, shape: [batch, longest]).to(device: scores.device)
    let padded = layout.padded(scores)
    let ends = [answers.map(\.first), answers.map(\.last)].enumerated().map { index, places in
      crossEntropy(
        padded.selected(2, index) + hidden,
        Tensor(places, shape: [batch]).to(device: scores.device))
    }
    return (ends[0] + ends[1]) / 2
  }
}

/// A head by itself, so that its paths are those of the checkpoint.
private final class HeadOnly: Module {
  private let head: Key<Linear>

  init(_ head: Key<Linear>) { self.head = head }
}
