public import ApusBase

/// A federated method: what a client does, what the server does, and what goes between them.
///
/// The halves meet only in messages. They are made in different processes when the federation is
/// real, so neither may hold anything of the other's.
public protocol FederatedMethod: Sendable {
  /// Hyper-parameters of this method alone; those of local training are ``LocalTraining``.
  associatedtype Options: MethodOptions

  /// Name, source and properties of the method.
  static var card: MethodCard { get }

  /// Local training as the paper or its code does it, where an experiment does not say otherwise.
  static var localTraining: LocalTraining { get }

  /// Weighting and server rule as the paper has them, where an experiment does not say otherwise.
  static var aggregation: Aggregation { get }

  /// Whether all rows are brought to one place, as only a reference point may do.
  static var poolsData: Bool { get }

  /// Whether there is one model for all; otherwise each client's own is what is measured, and
  /// nothing is exported.
  static var hasGlobalModel: Bool { get }

  /// Whether each client uses a model of its own, be there a global one beside it or not; it is
  /// then measured on the client's own rows.
  static var hasPersonalModels: Bool { get }

  /// Whether it trains, sends and combines tensors whatever they mean, so that adapters of every
  /// kind can be used with it; otherwise LoRA alone.
  static var takesAnyAdapter: Bool { get }

  /// Whether a client's scaling is alpha / r of its own rank, rather than one for all ranks.
  static var scalesByRank: Bool { get }

  /// Whether its server can combine adapters that were trained without a run around them.
  static var combination: AdapterCombination { get }

  /// Creates the method with options that were validated.
  init(_ options: Options)

  /// What the model needs beside the adapter that the experiment configures.
  var modelExtension: ModelExtension { get }

  /// Whether a trainable tensor stays on its client, each having its own.
  func isPersonal(_ tensor: String) -> Bool

  /// Makes the server's half.
  func server(_ setting: ServerSetting) throws -> any ServerHalf

  /// Makes the half of one client.
  func client(_ setting: ClientSetting) throws -> any ClientHalf
}

extension FederatedMethod {
  /// FedAvg: the mean by numbers of rows.
  public static var aggregation: Aggregation { Aggregation() }

  /// One scaling.
  public static var scalesByRank: Bool { false }

  /// Data stay on the clients.
  public static var poolsData: Bool { false }

  /// One model for all.
  public static var hasGlobalModel: Bool { true }

  /// Models of their own where there is none for all.
  public static var hasPersonalModels: Bool { !hasGlobalModel }

  /// Nothing stays on a client.
  public func isPersonal(_ tensor: String) -> Bool { false }

  /// The experiment's adapter alone.
  public var modelExtension: ModelExtension { ModelExtension() }

  /// LoRA alone.
  public static var takesAnyAdapter: Bool { false }

  /// Of whole adapters, if there is one model for all.
  public static var combination: AdapterCombination {
    hasGlobalModel ? .wholeAdapters : .impossible(because: "it makes no model for all")
  }
}

/// Hyper-parameters that an experiment file can set by name.
public protocol MethodOptions: OptionGroup {}

/// What the server does; everything that it keeps is in its snapshot.
public protocol ServerHalf {
  /// The message that opens a round for one client.
  mutating func brief(for client: ClientID, round: Round) throws -> Message

  /// Takes one client's update into account; called in client order, and keeps no update whole.
  ///
  /// An update that is refused by throwing leaves the half as it was.
  mutating func absorb(
    _ update: Message, from client: ClientID, weight: Double, round: Round) throws

  /// Ends the round after the last update; returns what is worth reporting of it.
  ///
  /// A round in which no update came changes nothing.
  mutating func finish(round: Round) throws -> Metrics

  /// The model that a new client would get: what is evaluated as *global*, and exported.
  ///
  /// The trainable tensors, and ``BaseDelta/named`` beside them if the method changed the base.
  var global: NamedTensors { get }

  /// Everything that is needed to go on from here.
  var snapshot: Snapshot { get }

  /// Goes on from a snapshot of a half that was made with the same setting.
  mutating func restore(_ snapshot: Snapshot) throws
}

/// What one client does.
public protocol ClientHalf {
  /// Trains on the client's data as the brief says, and answers with an update.
  mutating func train(on brief: Message, round: Round) async throws -> Message

  /// Measures the model that this client would use now: global, personal or mixed.
  mutating func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics

  /// The one adapter, with its head, that this client would use now, by the names of the standard
  /// set; nil if what it uses is none, such as a mixture, or is that of all.
  ///
  /// A method whose clients train before they use a model trains here too.
  func ownAdapter(beside brief: Message, round: Round) async throws -> NamedTensors?

  /// What persists on the client between rounds; never sent.
  var snapshot: Snapshot { get }

  /// Goes on from a snapshot of the same client.
  mutating func restore(_ snapshot: Snapshot) throws
}

extension ClientHalf {
  /// No adapter of its own.
  public func ownAdapter(
    beside brief: Message, round: Round
  ) async throws -> NamedTensors? { nil }

  /// Nothing persists, unless a method says so.
  public var snapshot: Snapshot { Snapshot() }

  public mutating func restore(_ snapshot: Snapshot) throws {
    guard !snapshot.isEmpty else { return }
    throw ApusError(
      .runState, at: "client state", "this method keeps no state on a client, but there is some",
      remedy: "Resume the run with the method that started it")
  }
}

/// No settings.
public struct NoOptions: MethodOptions {
  /// The empty group.
  public init() {}
}
