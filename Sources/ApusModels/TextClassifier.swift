public import ApusBase
public import ApusCore
public import ApusTorch

/// Assigns one of C classes to a text: encoder, pooling, head.
///
/// Keys are those of transformers' `…ForSequenceClassification`. With ``Pooling/mean`` the mean of
/// the tokens goes to one linear layer, `classifier`, as sentence encoders are used.
///
/// - Shapes: T tokens, B examples, D hidden size, C classes.
public final class TextClassifier: Module, SequenceClassifier {
  /// How tokens become one vector.
  public let pooling: Pooling
  /// The layers of the head that were drawn, because the checkpoint has none for as many classes.
  public override var drawnModules: [String] { drawn }
  /// As in ``CausalLanguageModel/recomputedLeaves``.
  public var recomputedLeaves: (() -> [Tensor])?
  private let encoder: Key<any TextEncoder>
  // Keys of the head begin at the root of the checkpoint.
  private let head: Key<any SequenceHead>
  private let headDeviation: Double
  private var drawn: [String] = []

  init(
    _ architecture: ModelCatalog.Architecture, _ config: JSONNode, labels: Int, pooling: Pooling
  ) throws(ApusError) {
    let encoder = try architecture.makeEncoder(config, pooling == .cls)
    let size = encoder.hiddenSize
    let head: any SequenceHead =
      switch pooling {
      case .cls: try architecture.makeHead(config, size, labels)
      case .mean: LinearHead(size, labels, dropout: 0)
      }
    self.encoder = Key(wrappedValue: encoder, architecture.prefix)
    self.head = Key(wrappedValue: head, "")
    self.pooling = pooling
    headDeviation = try config["initializer_range"].number(in: 0...10, default: 0.02)
  }

  /// Whether part of the head was drawn.
  public var hasFreshHead: Bool { !drawn.isEmpty }

  /// The last layer, always float32.
  public var classifier: Linear { head.wrappedValue.output }

  /// The module that holds the last layer, by the beginning of its path.
  public var headNames: [String] {
    var names: [String] = []
    head.wrappedValue.walk { path, module in
      guard module === classifier, let name = path.split(separator: ".").first else { return }
      names = [String(name)]
    }
    return names
  }

  /// Takes the layers of the checkpoint's head that fit, and draws the others: weights normal,
  /// biases zero.
  func setHead(_ stored: NamedTensors, random: RandomStream, device: Device) throws(ApusError) {
    drawn = head.wrappedValue.takeLayers(
      of: stored, deviation: headDeviation, random: random, device: device)
    try Tensor.check("head")
  }

  public var labelCount: Int { classifier.outputs }

  public func check(_ batch: TokenBatch) throws(ApusError) {
    try encoder.wrappedValue.check(batch)
  }

  /// Vectors of all tokens [T, D] in the backbone's dtype.
  public func hidden(_ batch: TokenBatch, random: RandomStream? = nil) -> Tensor {
    let pass = ForwardPass(layout: batch.layout, random: random)
    return encoder.wrappedValue.hidden(batch, pass)
  }

  /// What the classifier sees of each example [B, D], in float32.
  public func features(_ batch: TokenBatch, random: RandomStream? = nil) -> Tensor {
    let pass = ForwardPass(
      layout: batch.layout, random: random, recomputedLeaves: recomputedLeaves?())
    let hidden = encoder.wrappedValue.hidden(batch, pass)
    let pooled =
      switch pooling {
      case .cls: encoder.wrappedValue.pooled(hidden, of: batch, pass).to(.float32)
      case .mean: pass.layout.meanOverExamples(hidden.to(.float32))
      }
    return head.wrappedValue.features(pooled, pass)
  }

  public func logits(_ batch: TokenBatch, random: RandomStream?) -> Tensor {
    logits(of: features(batch, random: random), batch, random: random)
  }

  /// Scores [B, C] from what the classifier sees of each example of a batch [B, D].
  public func logits(of features: Tensor, _ batch: TokenBatch, random: RandomStream?) -> Tensor {
    let pass = ForwardPass(layout: batch.layout, random: random)
    return classifier(head.wrappedValue.dropout(features, pass, "classifier"))
  }
}
