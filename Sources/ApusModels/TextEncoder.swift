public import ApusBase
public import ApusCore
public import ApusTorch

/// An architecture that turns tokens into vectors: what text tasks stand on.
public protocol TextEncoder: Module {
  /// D, the length of a token's vector.
  var hiddenSize: Int { get }

  /// Refuses tokens that the embedding tables do not have.
  ///
  /// - Throws: ``ApusError`` `.invalidData` that names the bound.
  func check(_ batch: TokenBatch) throws(ApusError)

  /// Vectors of all tokens [T, D]; tokens that adapters put in front are gone again.
  func hidden(_ batch: TokenBatch, _ pass: ForwardPass) -> Tensor

  /// Vectors of the examples [B, D] by the architecture's own pooling, from those of the tokens.
  func pooled(_ hidden: Tensor, _ pass: ForwardPass) -> Tensor

  /// As above, for architectures whose choice of a token depends on the tokens.
  func pooled(_ hidden: Tensor, of batch: TokenBatch, _ pass: ForwardPass) -> Tensor
}

extension TextEncoder {
  /// What the tokens' vectors alone decide [B, D].
  public func pooled(_ hidden: Tensor, of batch: TokenBatch, _ pass: ForwardPass) -> Tensor {
    pooled(hidden, pass)
  }

  /// The first token's vector of each example [B, D].
  public func pooled(_ hidden: Tensor, _ pass: ForwardPass) -> Tensor {
    hidden.indexSelected(0, pass.layout.firstRows)
  }
}

/// A model that assigns one of a few classes to a text.
public protocol SequenceClassifier: Module {
  /// C, the number of classes.
  var labelCount: Int { get }

  /// Refuses tokens that the model does not have.
  ///
  /// - Throws: ``ApusError`` `.invalidData` that names the bound.
  func check(_ batch: TokenBatch) throws(ApusError)

  /// Unnormalized scores [B, C] in float32, for training if there is a source of chance.
  func logits(_ batch: TokenBatch, random: RandomStream?) -> Tensor
}

extension SequenceClassifier {
  /// Scores in evaluation [B, C]: no dropout, no graph.
  public func evaluatedLogits(_ batch: TokenBatch) -> Tensor {
    withoutGradient { logits(batch, random: nil) }
  }

  /// Mean cross entropy over the examples, in nats: the loss of a training step.
  public func loss(_ batch: TokenBatch, labels: Tensor, random: RandomStream?) -> Tensor {
    crossEntropy(logits(batch, random: random), labels)
  }
}
