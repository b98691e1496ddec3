import ApusBase
import ApusCore
import ApusMethods
import Foundation
import Testing

@testable import ApusTorch

extension MethodCatalog.Entry {
  /// A federation of this method that also has server moments to lose.
  fileprivate func federation(
    _ kind: ServerOptimizerConfiguration.Kind = .fedadam
  ) throws -> ToyFederation {
    var aggregation = Aggregation()
    aggregation.server.kind = kind
    aggregation.server.learningRate = kind == .fedavg ? 1 : 0.1
    return try ToyFederation(make(defaultOptions), aggregation: aggregation)
  }
}

/// Updates that no server may take: of a broken client, or of one with another model.
private func spoilt(_ update: Message) -> [Message] {
  var alien = update
  alien.tensors["no.such.tensor"] = .ones([2])
  var versions = [alien]
  guard let name = update.tensors.names.last, let tensor = update.tensors[name] else {
    return versions
  }
  for replacement in [
    Tensor.full(tensor.shape, .nan), Tensor.full(tensor.shape, .infinity),
    Tensor.zeros(tensor.shape + [1]), nil,
  ] {
    var version = update
    version.tensors[name] = replacement
    versions.append(version)
  }
  return versions
}

@Suite struct EveryMethod {
  @Test(arguments: MethodCatalog.all)
  func `goes on from a snapshot with the same bits as without interruption`(
    method: MethodCatalog.Entry
  ) async throws {
    let undisturbed = try method.federation()
    try await undisturbed.run(0..<4)
    let interrupted = try method.federation()
    try await interrupted.run(0..<2)
    let resumed = try method.federation()
    try resumed.restore(interrupted.stored())
    try await resumed.run(2..<4)
    #expect(try resumed.stored() == undisturbed.stored())
    #expect(resumed.server.global.isIdentical(to: undisturbed.server.global))
    #expect(resumed.metrics == Array(undisturbed.metrics[2...]))
    for client in 0..<3 {
      #expect(try await resumed.evaluate(client) == undisturbed.evaluate(client))
    }
  }

  @Test(arguments: MethodCatalog.all)
  func `gives the same bits for the same seed`(method: MethodCatalog.Entry) async throws {
    let (first, second) = (try method.federation(), try method.federation())
    try await first.run(0..<2)
    try await second.run(0..<2)
    #expect(try first.stored() == second.stored())
    for client in 0..<3 {
      #expect(try first.updates[client]?.encoded() == second.updates[client]?.encoded())
    }
  }

  @Test(arguments: MethodCatalog.all)
  func `leaves every bit of the frozen backbone alone`(method: MethodCatalog.Entry) async throws {
    let federation = try method.federation()
    let before = federation.trainers.map { $0.frozen.copied() }
    try await federation.run(0..<2)
    for (trainer, frozen) in zip(federation.trainers, before) {
      #expect(trainer.frozen.isIdentical(to: frozen))
    }
  }

  @Test(arguments: MethodCatalog.all)
  func `is as it was after refusing an update`(method: MethodCatalog.Entry) async throws {
    let (disturbed, calm) = (try method.federation(), try method.federation())
    try await disturbed.run(0..<2)
    try await calm.run(0..<2)
    let update = try #require(calm.updates[0])
    // In the round that the update is of, since another may want other tensors.
    try disturbed.withServer(in: 1) { server, id, round in
      let before = try server.snapshot.encoded()
      for bad in spoilt(update) {
        #expect(throws: ApusError.self) {
          try server.absorb(bad, from: id, weight: 3, round: round)
        }
        #expect(try server.snapshot.encoded() == before)
      }
    }
    // The refused ones leave no trace in the round either.
    try await disturbed.run(2..<3)
    try await calm.run(2..<3)
    #expect(try disturbed.stored() == calm.stored())
    #expect(disturbed.metrics == calm.metrics)
    try Tensor.check()
  }

  @Test(arguments: MethodCatalog.all)
  func `is as it was after a round in which no update came`(
    method: MethodCatalog.Entry
  ) async throws {
    let federation = try method.federation()
    try await federation.run(0..<1)
    let before = try federation.stored()
    try await federation.run(1..<2, cohort: [])
    #expect(try federation.stored() == before)
  }

  @Test(arguments: MethodCatalog.all)
  func `refuses another method's snapshot and stays as it was`(
    method: MethodCatalog.Entry
  ) async throws {
    let federation = try method.federation()
    try await federation.run(0..<2)
    let before = try federation.stored()
    for tensors in [NamedTensors(["no.such": .ones([2])]), NamedTensors(["global/x": .ones([2])])] {
      let alien = try Snapshot(tensors: tensors).encoded()
      #expect(throws: ApusError.self) {
        try federation.restore([alien] + before.dropFirst())
      }
      #expect(throws: ApusError.self) {
        try federation.restore([before[0], alien] + before.dropFirst(2))
      }
      #expect(try federation.stored() == before)
    }
  }

  @Test(arguments: MethodCatalog.all)
  func `lets go of an update's tensors once it is absorbed`(
    method: MethodCatalog.Entry
  ) async throws {
    let federation = try method.federation(.fedavg)
    try await federation.run(0..<1)
    let names = try #require(federation.updates[1]?.tensors.names)
    var fresh = federation.updates[1]
    fresh?.tensors = try #require(federation.updates[1]?.tensors.copied())
    let probes = names.map { Probe(fresh?.tensors[$0]) }
    try federation.withServer(in: 0) { server, id, round in
      try server.absorb(try #require(fresh), from: id, weight: 3, round: round)
      fresh = nil
      for (name, probe) in zip(names, probes) { #expect(probe.handle == nil, "\(name)") }
    }
  }

  @Test(arguments: MethodCatalog.all)
  func `starts from the initial values, and offers a model with their names`(
    method: MethodCatalog.Entry
  ) async throws {
    let federation = try method.federation(.fedavg)
    let initial = federation.trainers[0].initial
    let global = federation.server.global
    // A method may begin with ranks of its own; rows beyond the initial ones it draws.
    let ranks = ToyTrainer.pairs.map { min(global.rank(of: $0) ?? 0, initial.rank(of: $0) ?? 0) }
    for (pair, rank) in zip(ToyTrainer.pairs, ranks) {
      #expect(rank >= 1 && global[pair.b]?.anyTrue == false)
      let parts = [global, initial].map { $0[pair.a]?.sliced(0, 0..<rank).contiguous() }
      #expect(try #require(parts[0]).isIdentical(to: try #require(parts[1])))
    }
    #expect(
      global.withoutFactors(of: ToyTrainer.pairs)
        .isIdentical(to: initial.withoutFactors(of: ToyTrainer.pairs)))
    try await federation.run(0..<1)
    #expect(federation.server.global.withoutBaseDelta.names == initial.names)
    #expect(federation.server.global.firstNonFinite == nil)
  }

  @Test(arguments: MethodCatalog.all)
  func `does no more steps than the brief allows`(method: MethodCatalog.Entry) async throws {
    let federation = try method.federation()
    try await federation.run(0..<1, stepLimit: 1)
    for update in federation.updates.values { #expect(update.fields["steps"] == .int(1)) }
    try await federation.run(1..<2)
    // Two epochs of 4 rows in batches of 3.
    #expect(federation.updates[0]?.fields["steps"] == .int(4))
  }
}

/// Looks at a tensor without keeping it.
private struct Probe {
  weak var handle: Tensor.Handle?

  init(_ tensor: Tensor?) { handle = tensor?.handle }
}
