internal import ApusCore
internal import ApusTorch

/// What an architecture has on its encoder to tell classes apart; properties are the keys of
/// transformers' `…ForSequenceClassification` beside those of the encoder.
///
/// Heads are float32 whatever the encoder is, for they train.
///
/// - Shapes: B examples, D hidden size, C classes.
protocol SequenceHead: Module {
  /// The last layer; each of its C rows is a class.
  var output: Linear { get }
  /// Acts on what the last layer sees.
  var dropout: Dropout { get }

  /// What the last layer sees of each example [B, D], from the encoder's vector of it [B, D].
  func features(_ pooled: Tensor, _ pass: ForwardPass) -> Tensor
}

/// The last layer alone: `classifier`.
final class LinearHead: Module, SequenceHead {
  let classifier: Linear
  let dropout: Dropout

  init(_ size: Int, _ labels: Int, dropout: Double) {
    classifier = Linear(size, labels)
    self.dropout = Dropout(dropout)
  }

  var output: Linear { classifier }

  func features(_ pooled: Tensor, _ pass: ForwardPass) -> Tensor { pooled }
}

/// The last layer of decoders, without bias: `score`.
final class ScoreHead: Module, SequenceHead {
  let score: Linear
  let dropout = Dropout(0)

  init(_ size: Int, _ labels: Int) { score = Linear(size, labels, bias: false) }

  var output: Linear { score }

  func features(_ pooled: Tensor, _ pass: ForwardPass) -> Tensor { pooled }
}
