public import ApusBase
public import ApusCore
public import ApusTorch

/// Assigns one of C classes to a text: encoder, pooling, one linear layer.
///
/// Keys are those of transformers' `…ForSequenceClassification`. With ``Pooling/mean`` the mean of
/// the tokens goes to the classifier directly, as sentence encoders are used.
///
/// - Shapes: T tokens, B examples, D hidden size, C classes.
public final class TextClassifier: Module, SequenceClassifier {
  /// The last layer, always float32.
  public let classifier: Linear
  /// How tokens become one vector.
  public let pooling: Pooling
  /// Whether the classifier was drawn, because the checkpoint has none for as many classes.
  public private(set) var hasFreshHead = false
  private let encoder: Key<any TextEncoder>
  private let dropout: Dropout
  private let headDeviation: Double

  init(
    _ architecture: ModelCatalog.Architecture, _ config: JSONNode, labels: Int, pooling: Pooling
  ) throws(ApusError) {
    let encoder = try architecture.makeEncoder(config, pooling == .cls)
    self.encoder = Key(wrappedValue: encoder, architecture.prefix)
    self.pooling = pooling
    classifier = Linear(encoder.hiddenSize, labels)
    let hidden = try config["hidden_dropout_prob"].probability(default: 0.1)
    let own = try config["classifier_dropout"].probability(default: hidden)
    dropout = Dropout(pooling == .cls ? own : 0)
    headDeviation = try config["initializer_range"].number(in: 0...10, default: 0.02)
  }

  /// Takes the checkpoint's head if it fits, or draws one: weights normal, biases zero.
  func setHead(_ stored: NamedTensors, random: RandomStream, device: Device) throws(ApusError) {
    let shape = classifier.weight.shape
    if let weight = stored["classifier.weight"], weight.shape == shape,
      let bias = stored["classifier.bias"], bias.shape == classifier.bias?.shape
    {
      classifier.weight.value = weight
      classifier.bias?.value = bias
      return
    }
    var stream = random.substream("classifier")
    classifier.weight.value = Tensor.normal(shape, deviation: headDeviation, stream: &stream)
      .to(device: device)
    classifier.bias?.value = Tensor.zeros([labelCount], device: device)
    hasFreshHead = true
    try Tensor.check("classifier")
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
    let pass = ForwardPass(layout: batch.layout, random: random)
    let hidden = encoder.wrappedValue.hidden(batch, pass)
    return switch pooling {
    case .cls: encoder.wrappedValue.pooled(hidden, pass).to(.float32)
    case .mean: pass.layout.meanOverExamples(hidden.to(.float32))
    }
  }

  public func logits(_ batch: TokenBatch, random: RandomStream?) -> Tensor {
    let pass = ForwardPass(layout: batch.layout, random: random)
    return classifier(dropout(features(batch, random: random), pass, "classifier"))
  }
}
