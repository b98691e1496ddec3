public import ApusBase

/// How tokens are chosen; names, meanings and defaults are those of transformers' `generate`.
public struct GenerationOptions: OptionGroup, Equatable {
  /// When beams stop.
  public enum EarlyStopping: String, Codable, Sendable, CaseIterable {
    /// When running beams can hardly become better than the finished ones.
    case heuristic = "false"
    /// When as many beams are finished as there are.
    case full = "true"
    /// When running beams cannot become better, whatever their length.
    case never
  }

  /// Tokens that are written at most.
  public var maxNewTokens = 20
  /// Tokens that are written before a stop token may be.
  public var minNewTokens = 0
  /// Tokens that end a text; they are its last token.
  public var stopTokens: [Int] = []
  /// Whether tokens are drawn, not the most likely ones taken.
  public var doSample = false
  /// Scores are divided by this before they are drawn from.
  public var temperature = 1.0
  /// Only so many of the likeliest tokens are drawn from; 0 for all.
  public var topK = 50
  /// Only the likeliest tokens that together have this share are drawn from.
  public var topP = 1.0
  /// Texts that are pursued at the same time.
  public var numBeams = 1
  /// Beams' scores are divided by their length to this power; above 0 favours long texts.
  public var lengthPenalty = 1.0
  /// When beams stop.
  public var earlyStopping = EarlyStopping.heuristic
  /// Scores of tokens that were there already are worsened by this factor; 1 for not at all.
  public var repetitionPenalty = 1.0
  /// No sequence of so many tokens comes twice; 0 for any.
  public var noRepeatNgramSize = 0
  /// The first token that is written; nil for any.
  public var forcedFirstToken: Int?
  /// The last token where the length is used up; nil for any.
  public var forcedLastToken: Int?

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      maxNewTokens >= 1, "max-new-tokens", "\(maxNewTokens) leaves nothing to write",
      remedy: "Give a number ≥ 1")
    try require(
      minNewTokens <= maxNewTokens, "min-new-tokens",
      "\(minNewTokens) exceeds the \(maxNewTokens) tokens that are written at most",
      remedy: "Raise max-new-tokens")
    try require(
      temperature > 0 && temperature.isFinite, "temperature", "\(temperature) is not above 0",
      remedy: "Give a number > 0, or leave sampling off for the likeliest tokens")
    try require(topK >= 0, "top-k", "\(topK) is negative", remedy: "Give 0 for all tokens")
    try require(
      topP > 0 && topP <= 1, "top-p", "\(topP) is no share", remedy: "Give a number in (0, 1]")
    try require(numBeams >= 1, "num-beams", "\(numBeams) is below 1", remedy: "Give 1 or more")
    try require(
      !(doSample && numBeams > 1), "num-beams", "beams are pursued, not drawn",
      remedy: "Use num-beams, or sampling, not both")
    try require(
      repetitionPenalty > 0, "repetition-penalty", "\(repetitionPenalty) is not above 0",
      remedy: "Give a number > 0; above 1 means fewer repetitions")
    try require(
      noRepeatNgramSize >= 0 && minNewTokens >= 0, "no-repeat-ngram-size",
      "a number of tokens is negative", remedy: "Give 0 to switch it off")
    try require(
      lengthPenalty.isFinite, "length-penalty", "\(lengthPenalty) is no number",
      remedy: "Give a finite number")
  }
}
