import ApusBase
import ApusCore
import ApusTorch
import Foundation

extension RoundLoop {
  /// Measures the global model, and each client's own, if it is time to.
  func measure(after round: Round) async throws -> [MetricRow] {
    let options = simulation.options.evaluation
    guard options.isDue(after: round) else { return [] }
    var rows: [MetricRow] = []
    for split in options.splits { rows += try await measureGlobal(split, after: round) }
    for split in options.clientSplits { rows += try await measureClients(split, after: round) }
    return rows
  }

  /// Measures the global model in parts, whose sums are added in order.
  private func measureGlobal(_ split: DataSplit, after round: Round) async throws -> [MetricRow] {
    let shards = simulation.options.evaluation.shards
    let (runner, global) = (runner, try Message(tensors: server.global).encoded())
    var total: MetricSums = [:]
    try await window().run(shards) {
      $0
    } work: { shard in
      try await runner.evaluate(global: global, split: split, shard: shard, of: shards)
    } take: { _, sums in
      total.merge(try sums.get()) { $0 + $1 }
    }
    return simulation.summarize(total).sorted { $0.key < $1.key }.map {
      MetricRow(
        round: round.index, scope: "global/\(split.rawValue)", metric: $0.key, value: $0.value)
    }
  }

  /// Measures every client's own model on its own rows, and the spread over the clients.
  private func measureClients(_ split: DataSplit, after round: Round) async throws -> [MetricRow] {
    var asked = server  // briefs for measuring leave no trace in the run
    let (clients, runner) = (simulation.clients, runner)
    var rows: [MetricRow] = []
    var values: [String: [Double]] = [:]
    try await window().run(clients.count) { index in
      let id = clients[index].id
      let brief = try asked.brief(for: id, round: round).encoded()
      return (id, brief, try states.state(of: id.index))
    } work: { id, brief, state in
      try await runner.evaluate(id, brief: brief, split: split, round: round, state: state)
    } take: { index, result in
      for (name, value) in try result.get().sorted(by: { $0.key < $1.key }) {
        rows.append(
          MetricRow(
            round: round.index, scope: "client/\(split.rawValue)", client: clients[index].id.name,
            metric: name, value: value))
        values[name, default: []].append(value)
      }
    }
    for (name, values) in values.sorted(by: { $0.key < $1.key }) {
      let spread = ClientSpread(values, lowerIsBetter: ClientSpread.lowerIsBetter(name))
      for (metric, value) in spread?.metrics(name) ?? [] {
        rows.append(
          MetricRow(
            round: round.index, scope: "clients/\(split.rawValue)", metric: metric, value: value))
      }
    }
    return rows
  }
}
