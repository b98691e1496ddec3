import Foundation

/// How many tokens a language model is undecided between on average: exp of the mean loss.
///
/// Parts add up by tokens, so long texts weigh more than short ones.
public struct Perplexity: Sendable, Equatable {
  /// Sum of −log p over tokens, in nats.
  public private(set) var nats = 0.0
  /// Number of predicted tokens.
  public private(set) var tokens = 0

  /// Nothing measured.
  public init() {}

  /// Adds predicted tokens and their summed loss in nats.
  public mutating func add(nats: Double, tokens: Int) {
    self.nats += nats
    self.tokens += tokens
  }

  /// Adds another part.
  public mutating func add(_ other: Perplexity) { add(nats: other.nats, tokens: other.tokens) }

  /// exp(nats / tokens), at least 1 for probabilities; nil without tokens.
  public var value: Double? { tokens > 0 ? exp(nats / Double(tokens)) : nil }
}
