public import ApusCore

/// What became of one client in one round.
public struct ClientRecord: Sendable, Equatable {
  /// How the client's part in the round ended.
  public enum Status: String, Sendable, CaseIterable {
    /// Its update was absorbed.
    case used
    /// Its update was absorbed; the device was lost after the upload.
    case usedThenLost = "used, then lost"
    /// Its report came after the deadline, in virtual time, and was discarded.
    case late
    /// Its report came after enough others, in virtual time, and was discarded.
    case surplus
    /// The device was lost before the upload.
    case lost
    /// Not one step fitted before the deadline.
    case tooSlow = "too slow"
    /// The device has too little memory.
    case outOfMemory = "out of memory"
    /// Training failed, or its process ended.
    case failed
    /// The server refused its update.
    case refused
  }

  /// Which client.
  public let client: ClientID
  /// How its part ended.
  public var status: Status
  /// Why, if its training failed or its update was refused.
  public var reason: String?
  /// Length of the encoded brief.
  public var downlinkBytes: Int
  /// Length of the encoded update; of a discarded one, which nobody computed, the expected length.
  public var uplinkBytes = 0
  /// Optimizer steps, τₖ.
  public var steps = 0
  /// Mean training loss as the client reports it; nil if it reports none.
  public var loss: Double?
  /// Weight with which the update was absorbed; 0 if it was not.
  public var weight = 0.0
  /// Virtual seconds from the round's beginning to the report's arrival.
  public var virtualSeconds = 0.0
  /// Energy in joules, by the device's profile.
  public var joules = 0.0

  /// Begins a record.
  public init(client: ClientID, status: Status, downlinkBytes: Int) {
    self.client = client
    self.status = status
    self.downlinkBytes = downlinkBytes
  }
}

/// One round as a whole.
public struct RoundRecord: Sendable, Equatable {
  /// Its index, from 0.
  public let index: Int
  /// The cohort's clients, in order.
  public var clients: [ClientRecord] = []
  /// Virtual seconds until the server went on.
  public var virtualSeconds = 0.0
  /// Seconds that the round took on this machine, evaluation included.
  public var wallSeconds = 0.0

  /// Begins a record.
  public init(index: Int) { self.index = index }

  /// Number of updates that were absorbed.
  public var updates: Int {
    clients.count { $0.status == .used || $0.status == .usedThenLost }
  }
  /// Bytes of all briefs.
  public var downlinkBytes: Int { clients.reduce(0) { $0 + $1.downlinkBytes } }
  /// Bytes of all updates.
  public var uplinkBytes: Int { clients.reduce(0) { $0 + $1.uplinkBytes } }
  /// Energy of all clients in joules.
  public var joules: Double { clients.reduce(0) { $0 + $1.joules } }
}

/// One number of one round.
public struct MetricRow: Sendable, Equatable {
  /// After which round.
  public let round: Int
  /// What was measured: `run` for what holds for all of it, `server`, `global/test`,
  /// `clients/test`, or `client/test` for one client.
  public let scope: String
  /// Name of the client, in the scope of one client.
  public let client: String?
  /// Name of the number, such as `accuracy`.
  public let metric: String
  /// The number.
  public let value: Double

  /// Collects a row.
  public init(round: Int, scope: String, client: String? = nil, metric: String, value: Double) {
    self.round = round
    self.scope = scope
    self.client = client
    self.metric = metric
    self.value = value
  }
}

extension [MetricRow] {
  /// The latest value of a number; nil if it was never measured.
  public func latest(_ scope: String, _ metric: String) -> Double? {
    last { $0.scope == scope && $0.metric == metric }?.value
  }

  /// The latest values of the numbers whose names begin like this, by the rest of their names.
  public func latest(_ scope: String, prefix: String) -> [String: Double] {
    var values: [String: Double] = [:]
    for row in self where row.scope == scope && row.metric.hasPrefix(prefix) {
      values[String(row.metric.dropFirst(prefix.count))] = row.value
    }
    return values
  }
}

/// Something worth a line: a refusal, a loss, a suspicion.
public struct RunEvent: Sendable, Equatable {
  /// What kind of thing happened.
  public enum Kind: String, Sendable, CaseIterable {
    /// A client's training failed.
    case clientFailed = "client failed"
    /// The server refused a client's update.
    case updateRefused = "update refused"
    /// Nothing crashed, but a result may mean nothing.
    case silentFailure = "silent failure"
    /// The run went on after an interruption.
    case resumed
  }

  /// In which round; nil outside of rounds.
  public let round: Int?
  /// Name of the client, if there is one.
  public let client: String?
  /// What kind.
  public let kind: Kind
  /// One sentence, without its full stop.
  public let text: String

  /// Describes an event.
  public init(round: Int?, client: String? = nil, kind: Kind, text: String) {
    self.round = round
    self.client = client
    self.kind = kind
    self.text = text
  }
}
