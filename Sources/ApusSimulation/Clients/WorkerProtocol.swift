import ApusBase
import ApusCore
import Foundation

/// What a run asks of clients elsewhere; byte strings travel beside it.
enum WorkerRequest: Codable {
  /// Which round, as far as a client may know; the seed came with ``begin(worker:seed:)``.
  struct Moment: Codable {
    let index: Int
    let total: Int

    init(_ round: Round) {
      index = round.index
      total = round.total
    }

    /// The round, once its number is one: it comes from another process or machine.
    func round(seed: UInt64) throws(ApusError) -> Round {
      guard index >= 0, index < total, total <= 1 << 40 else {
        throw ApusError(
          .invalidMessage, at: "client worker", "there is no round \(index) of \(total)",
          remedy: "Use one version of Apus on both sides")
      }
      return Round(index: index, total: total, root: RandomStream(seed: seed))
    }
  }

  /// Comes first: who the worker is, and the run's seed.
  case begin(worker: Int, seed: UInt64, threadsPerOperation: Int)
  /// Parts: brief, and the client's state if it has one.
  case train(ClientID, Moment)
  /// Parts: brief, and the client's state if it has one.
  case evaluateClient(ClientID, DataSplit, Moment)
  /// Part: the global model.
  case evaluateGlobal(DataSplit, shard: Int, shards: Int)
}

/// What clients elsewhere answer.
enum WorkerReply: Codable {
  /// Parts: update, and the client's state if it keeps one.
  case trained
  /// Metrics or sums; the bits of a number survive, NaN and infinity included.
  case numbers([String: UInt64])
  /// The client, or the host, threw this.
  case failed(Failure)

  /// An error on its way to the run.
  struct Failure: Codable {
    let code: String
    let location: String
    let problem: String
    let remedy: String

    init(_ error: any Error) {
      let known = error as? ApusError
      code = known?.code.description ?? ""
      location = known?.location ?? "client"
      problem = known?.problem ?? "\(error)"
      remedy = known?.remedy ?? "Correct the cause and resume the run"
    }

    var error: ApusError {
      let code = Self.codes.first { $0.description == self.code } ?? .invalidMessage
      return ApusError(code, at: location, problem, remedy: remedy)
    }

    private static let codes: [ApusError.Code] = [
      .invalidConfig, .invalidData, .invalidFile, .fileAccess, .checkpointMismatch, .shapeMismatch,
      .nonFinite, .invalidMessage, .tensorOperation, .unsupported, .silentFailure, .runState,
      .interrupted,
    ]
  }
}
