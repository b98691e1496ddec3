/// The server half of FedAvg over some of the trainables; the others keep every bit.
///
/// An update must hold the tensors that move in its round and no others, so what a method freezes
/// or leaves on its clients can neither be sent by mistake nor slip into the mean.
///
/// - State: all trainables as a new client would get them, the optimizer's moments, and who has
///   seen what if briefs depend on it.
/// - Source: McMahan et al., arXiv 1602.05629, Algorithm 1, unless another optimizer is configured.
public struct AveragingServer: ServerHalf {
  public private(set) var global: NamedTensors
  private let sent: TensorRoles
  private let moving: @Sendable (Round) -> TensorRoles
  private let skipsKnown: Bool
  private var ledger = BriefLedger()
  private var optimizer: ServerOptimizer
  private var mean: WeightedMean?
  private var products: AggregationBias.Sums

  /// A server that has seen no update.
  ///
  /// - Parameters:
  ///   - setting: Start values, and how updates are combined.
  ///   - sent: What a brief holds.
  ///   - skipsKnown: Whether a brief leaves out what the client already has, as clients can do
  ///     with that keep what they receive.
  ///   - moving: What updates hold and the server averages, round by round.
  ///   - reportsBias: Whether each round reports its aggregation bias, for which the server looks at
  ///     each update by itself. A factor that does not move in a round counts as the server has it.
  public init(
    _ setting: ServerSetting, sends sent: TensorRoles = .all, skipsKnown: Bool = false,
    averages moving: @escaping @Sendable (Round) -> TensorRoles = { _ in .all },
    reportsBias: Bool = false
  ) {
    global = setting.initial
    self.sent = sent
    self.skipsKnown = skipsKnown
    self.moving = moving
    optimizer = ServerOptimizer(setting.aggregation.server)
    products = AggregationBias(setting, isReported: reportsBias).sums()
  }

  /// Number of updates that the present round has taken.
  public var updateCount: Int { mean?.count ?? 0 }

  public func brief(for client: ClientID, round: Round) -> Message {
    let shared = global.filtered(sent)
    return Message(
      tensors: skipsKnown ? shared.filtered { ledger.lacks($0, client) } : shared)
  }

  public mutating func absorb(
    _ update: Message, from client: ClientID, weight: Double, round: Round
  ) throws {
    var sum = mean ?? WeightedMean(like: global.filtered(moving(round)))
    mean = nil  // so that there is one owner, and absorbing does not copy the sums
    defer { mean = sum.count > 0 ? sum : nil }
    try sum.absorb(update.tensors, weight: weight, at: "update")
    products.add(resting(in: round).merging(update.tensors), weight: weight)
    if skipsKnown { ledger.note(answerOf: client, in: round) }
  }

  public mutating func finish(round: Round) -> Metrics {
    defer { (mean, products) = (nil, products.emptied) }
    guard let average = mean?.finish() else { return [:] }
    let metrics = products.gaps(of: resting(in: round).merging(average)).metrics
    let former = global.filtered { average[$0] != nil }
    global = global.merging(optimizer.step(former, towards: average, scale: round.stepScale))
    if skipsKnown { ledger.note(changeOf: average.names, in: round) }
    return metrics
  }

  /// What does not move in a round.
  private func resting(in round: Round) -> NamedTensors {
    let moving = moving(round)
    return global.filtered { !moving.contains(named: $0) }
  }

  public var snapshot: Snapshot {
    Snapshot(groups: ["global": global, "server": optimizer.state], fields: ledger.fields)
  }

  public mutating func restore(_ snapshot: Snapshot) throws {
    global = try snapshot.group("global", like: global)
    optimizer.restore(snapshot.group("server"))
    ledger.restore(snapshot.fields)
  }
}
