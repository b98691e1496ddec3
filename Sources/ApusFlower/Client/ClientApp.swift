import ApusBase
import ApusCore
import ApusSimulation
import Foundation

/// What a client answers, message by message.
struct ClientApp: Sendable {
  let sites: SiteCache
  let states: URL

  /// Answers an instruction.
  ///
  /// - Parameters:
  ///   - content: What the instruction carries.
  ///   - type: Its type, such as `train`.
  ///   - input: What Flower says of the task: settings of node and run.
  /// - Returns: What the reply carries.
  /// - Throws: ``ApusError`` for a message, settings or data that cannot be worked with.
  func reply(
    to content: FlowerContent, type: String, input: Flwr_Proto_PullTaskInputResponse
  ) async throws -> FlowerContent {
    let frame = try content.frame()
    let greeting = Greeting(content)
    // A Python app declares its defaults in its pyproject.toml; Apus has them in the experiment.
    let values =
      frame == nil && greeting == nil ? input.context.runConfig : input.run.overrideConfig
    try RunOverrides.requireLocal(values)
    let site = try await sites.site(RunOverrides.assignments(values))
    let client = try Self.client(of: input.context.nodeConfig, at: site)
    if let greeting {
      try greeting.requireSame(as: site.greeting)
      return Introduction(
        index: client.id.index, name: client.id.name, sampleCount: client.sampleCount
      ).content
    }
    if let frame { return try await answer(frame, of: client, at: site) }
    return try await answer(content, type: type, of: client, at: site)
  }

  /// A question of an Apus server.
  private func answer(
    _ frame: WorkerFrame, of client: FederationClient, at site: FlowerSite
  ) async throws -> FlowerContent {
    guard frame.askedClient == client.id.index, let brief = frame.parts.first else {
      throw ApusError(
        .invalidMessage, at: "node of \(client.id)", "the message is for another client",
        remedy: "Give every SuperNode a partition-id of its own, and do not change it in a run")
    }
    let states = states(of: client, at: site)
    let receipt = frame.parts.dropFirst().first
    let state = try states.state(of: receipt, settles: frame.asksToTrain)
    let answer = await site.runner.answer(
      WorkerFrame(head: frame.head, parts: [brief] + (state.map { [$0] } ?? [])), seed: site.seed)
    guard frame.asksToTrain, let update = answer.parts.first else { return FlowerContent(answer) }
    let kept = try answer.parts.dropFirst().first.map { (state) throws(ApusError) in
      try states.keep(state)
    }
    return FlowerContent(
      WorkerFrame(head: answer.head, parts: [update] + (kept.map { [$0] } ?? [])))
  }

  /// An instruction of any other server.
  private func answer(
    _ content: FlowerContent, type: String, of client: FederationClient, at site: FlowerSite
  ) async throws -> FlowerContent {
    let place = "\(type), \(client.id)"
    let brief = try ArrayContent.brief(content, at: place).encoded()
    let number = try PeerNumber.count(
      content.config[ArrayContent.roundKey]?.double ?? 1, at: "\(place), \(ArrayContent.roundKey)")
    let round = Round(
      index: max(0, number - 1), total: max(site.rounds, number),
      root: RandomStream(seed: site.seed))
    let states = states(of: client, at: site)
    let state = try states.state(
      of: number > 1 ? states.latestReceipt : nil, settles: type == "train")
    switch type.prefix(while: { $0 != "." }) {
    case "train":
      let answer = try await site.runner.run(client.id, brief: brief, round: round, state: state)
      if let state = answer.state { try states.setLatest(states.keep(state)) }
      return ArrayContent.reply(
        try Message(encoded: answer.update, at: place), samples: client.sampleCount)
    case "evaluate":
      let metrics = try await site.runner.evaluate(
        client.id, brief: brief, split: .test, round: round, state: state)
      return ArrayContent.reply(metrics, samples: client.sampleCount)
    default:
      throw ApusError(
        .unsupported, at: "message type \(type)", "no client of Apus knows it",
        remedy: "Send train or evaluate")
    }
  }

  private func states(of client: FederationClient, at site: FlowerSite) -> ClientStates {
    ClientStates(states, experiment: site.greeting.fingerprint, client: client.id.index)
  }

  /// The client behind a node: the one of its `partition-id`.
  private static func client(
    of config: [String: Flwr_Proto_Scalar], at site: FlowerSite
  ) throws(ApusError) -> FederationClient {
    guard let index = config["partition-id"]?.text.flatMap({ Int($0) }) else {
      throw ApusError(
        .invalidConfig, at: "node-config", "there is no partition-id",
        remedy: "Start the SuperNode with --node-config 'partition-id=0'")
    }
    guard let client = site.clients.first(where: { $0.id.index == index }) else {
      throw ApusError(
        .invalidConfig, at: "node-config, partition-id",
        "\(index) is none of the \(site.clients.count) clients of the experiment",
        remedy: "Count them from 0, or give the experiment as many clients as there are SuperNodes")
    }
    return client
  }
}
