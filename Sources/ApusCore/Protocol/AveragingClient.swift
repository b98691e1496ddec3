/// The client half of FedAvg: it trains what the brief brings, and sends all of it back.
///
/// Nothing is kept between rounds, and the optimizer is fresh in each.
///
/// - Source: McMahan et al., arXiv 1602.05629, Algorithm 1, ClientUpdate.
public struct AveragingClient: ClientHalf {
  private let setting: ClientSetting

  /// A client of this setting.
  public init(_ setting: ClientSetting) { self.setting = setting }

  public func train(on brief: Message, round: Round) async throws -> Message {
    let trainer = setting.trainer
    try trainer.load(brief.tensors)  // Aₖ, Bₖ ← Ā, B̄, and the head
    let outcome = try await trainer.train(  // E epochs on Dₖ
      LocalWork(of: setting, in: round, on: brief))
    return Message(
      tensors: trainer.trainables, sampleCount: trainer.sampleCount, outcome: outcome)
  }

  public func evaluate(
    on brief: Message, split: DataSplit, round: Round
  ) async throws -> Metrics {
    try setting.trainer.load(brief.tensors)
    return try await setting.trainer.evaluate(split)
  }
}
