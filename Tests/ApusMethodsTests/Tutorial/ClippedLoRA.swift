import ApusBase
import ApusCore
import ApusTorch

/// ClippedLoRA: FedIT, but no client moves the average by more than a given norm.
///
/// A client with few or odd rows can pull the average far away from everyone else. Here its change
/// Δₖ, over all tensors together, is scaled to the norm τ before it is sent if it is longer.
///
/// - State: server, all trainables; clients nothing.
/// - Traffic: as FedIT, Σ r(d_in + d_out) parameters and the head each way, nₖ on the way up.
/// - Source: the example of docs/adding-a-method.md; clipping as in arXiv 1710.06963, section 3.
struct ClippedLoRA: FederatedMethod {
  static let card = MethodCard(
    name: "ClippedLoRA", id: "clipped-lora", family: .reparameterized,
    summary: "FedIT with each client's change clipped to a norm", challenges: ["robustness"],
    paper: "example of the documentation, after arXiv 1710.06963",
    leavesClient: "A and B of every site, the head if it trains, nₖ", visibility: .weightedSum)

  static var localTraining: LocalTraining {
    var training = LocalTraining()
    training.learningRate = 5e-3
    training.clipNorm = 1
    return training
  }

  struct Options: MethodOptions {
    /// Longest change τ of one client in one round, > 0.
    var longestChange = 1.0

    func validate() throws(ApusError) {
      try require(
        longestChange > 0 && longestChange.isFinite, "longest-change",
        "\(longestChange) is no length", remedy: "Give a number > 0")
    }
  }

  private let options: Options

  init(_ options: Options) { self.options = options }

  func client(_ setting: ClientSetting) -> any ClientHalf {
    Client(setting: setting, longest: options.longestChange)
  }

  func server(_ setting: ServerSetting) -> any ServerHalf {
    // 4. θ ← Σ pₖθₖ, and the bias of averaging A and B apart is reported
    AveragingServer(setting, reportsBias: true)
  }

  private struct Client: ClientHalf {
    let setting: ClientSetting
    let longest: Double

    func train(on brief: Message, round: Round) async throws -> Message {
      let trainer = setting.trainer
      try trainer.load(brief.tensors)  // 1. θₖ ← θ
      let outcome = try await trainer.train(  // 2. on Dₖ, fresh optimizer
        LocalWork(of: setting, in: round, on: brief))
      return Message(  // 3. send θ + Δₖ · min(1, τ / ‖Δₖ‖)
        tensors: clipped(trainer.trainables, from: brief.tensors),
        sampleCount: trainer.sampleCount, outcome: outcome)
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      try setting.trainer.load(brief.tensors)
      return try await setting.trainer.evaluate(split)
    }

    private func clipped(_ trained: NamedTensors, from start: NamedTensors) -> NamedTensors {
      var change = NamedTensors()
      for (name, tensor) in trained { change[name] = start[name].map { tensor - $0 } ?? tensor }
      let square = change.reduce(0) { $0 + $1.tensor.to(.float64).squared.sum().item }
      let factor = min(1, longest / max(square.squareRoot(), .leastNormalMagnitude))
      guard factor < 1 else { return trained }
      var sent = NamedTensors()
      for (name, tensor) in change {
        let short = tensor * factor
        sent[name] = start[name].map { $0 + short } ?? short
      }
      return sent
    }
  }
}
