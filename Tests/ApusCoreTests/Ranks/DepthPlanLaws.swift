import ApusBase
import ApusCore
import Testing

private typealias Capacity = DepthPlan.Capacity

/// The four devices of the card's example.
private let example = zip([0.2, 0.4, 0.8, 1], [0.01, 0.02, 0.02, 0.05]).map {
  Capacity(forwardSeconds: 1, layerSeconds: $0, rankSeconds: $1)
}

private func drawnDevices(_ count: Int, seed: UInt64) -> [Capacity] {
  var stream = RandomStream(seed: seed).substream("devices")
  return (0..<count).map { _ in
    Capacity(
      forwardSeconds: stream.uniform(), layerSeconds: 2 * stream.uniform(),
      rankSeconds: 0.1 * stream.uniform())
  }
}

private func seconds(_ device: Capacity, _ depth: Int, _ ranks: [Int]) -> Double {
  device.forwardSeconds + Double(depth) * device.layerSeconds
    + Double(ranks.suffix(depth).reduce(0, +)) * device.rankSeconds
}

@Suite struct DepthPlanLaws {
  @Test func `the card's example: G = 9, depths 12, 10, 6 and 3, waiting 7.05 → 1.095`() {
    let ranks = DepthPlan.ranks(budget: 12 * 2 + 66, step: 1, count: 12)
    #expect(ranks == Array(2..<14))
    for search in DepthPlan.Search.allCases {
      let plan = DepthPlan(example, ranks: ranks, search: search)
      #expect(plan.gap == 9 && plan.depths == [12, 10, 6, 3])
      #expect(abs(plan.waiting - 1.095) < 1e-9)
    }
    #expect(abs(DepthPlan(example, ranks: ranks, tolerance: 100).waiting - 7.05) < 1e-9)
  }

  @Test func `equal devices train everything, and nobody waits`() {
    let plan = DepthPlan(Array(repeating: example[1], count: 5), ranks: [1, 2, 3])
    #expect(plan.gap == 0 && plan.depths == [3, 3, 3, 3, 3] && plan.waiting == 0)
    #expect(DepthPlan([], ranks: [1, 2]).depths.isEmpty)
  }

  @Test(arguments: 0..<30 as Range<UInt64>)
  func `a slower device never trains more, the fastest everything, and waiting never grows`(
    seed: UInt64
  ) {
    let ranks = DepthPlan.ranks(budget: 96, step: 1, count: 12)
    let devices = drawnDevices(7, seed: seed)
    let plan = DepthPlan(devices, ranks: ranks, lowest: 2)
    let times = devices.map { seconds($0, 12, ranks) }
    for (first, depth) in zip(times, plan.depths) {
      for (second, other) in zip(times, plan.depths) where first > second {
        #expect(depth <= other)
      }
    }
    #expect(plan.depths[times.firstIndex(of: times.min() ?? 0) ?? 0] == 12)
    #expect(plan.depths.allSatisfy { (2...12).contains($0) })
    let before = times.reduce(0) { $0 + (times.max() ?? 0) - $1 } / 7
    #expect(plan.waiting <= before + 1e-12)
    let best = DepthPlan(devices, ranks: ranks, lowest: 2, search: .full)
    #expect(best.waiting <= plan.waiting + 1e-12)
  }

  @Test(arguments: [(96, 1, 12), (96, 0, 12), (10, 1, 12), (4, 1, 2), (48, 3, 6), (66 + 12, 1, 12)])
  func `ranks do not fall towards the output, and keep to a budget that allows one each`(
    budget: Int, step: Int, count: Int
  ) {
    let ranks = DepthPlan.ranks(budget: budget, step: step, count: count)
    #expect(ranks.count == count && ranks[0] >= 1)
    #expect(zip(ranks, ranks.dropFirst()).allSatisfy { $1 - $0 == step })
    if budget >= count + step * count * (count - 1) / 2 {
      #expect(ranks.reduce(0, +) <= budget && ranks.reduce(0, +) > budget - count)
    }
  }

  @Test func `blocks are told by the path up to its first number`() {
    let sites = [
      "bert.encoder.layer.0.attention.self.query", "bert.encoder.layer.0.attention.self.value",
      "bert.encoder.layer.10.attention.self.query", "bert.encoder.layer.2.output.dense",
      "decoder.layer.0.q", "pooler",
    ]
    let pairs = sites.map { FactorPair(site: $0, a: "a", b: "b", scaling: 1) }
    let layers = SiteLayers(pairs)
    #expect(pairs.map { layers[$0] } == [0, 0, 1, 2, 3, 4])
    #expect(layers.count == 5)
  }

  @Test func `a table remembers, blends measurements, and goes on from its fields`() throws {
    var table = DeviceTable()
    let id = ClientID(index: 3, name: "c")
    #expect(table.depth(of: id, of: 12) == 12)
    for (index, capacity) in example.enumerated() {
      table.measure(ClientID(index: index, name: "c"), capacity, keeping: 0.8)
    }
    let ranks = Array(2..<14)
    let plan = table.plan(ranks: ranks, lowest: 1, .greedy, tolerance: 0)
    #expect(plan.depths == [12, 10, 6, 3])
    #expect(table.depth(of: id, of: 12) == 3)
    var resumed = DeviceTable(table.fields)
    #expect(resumed.depth(of: id, of: 12) == 3)
    table.measure(id, example[0], keeping: 0.8)
    resumed.measure(id, example[0], keeping: 0.8)
    #expect(resumed.fields == table.fields)
    let blended = table.fields["layer/3"]?.double ?? 0
    #expect(abs(blended - (0.8 * 1 + 0.2 * 0.2)) < 1e-12)
  }

  @Test func `an update without times, or with impossible ones, is refused`() throws {
    let id = ClientID(index: 3, name: "c")
    var update = Message()
    for name in ["forward_seconds", "layer_seconds", "rank_seconds"] {
      #expect(throws: ApusError.self) { try DeviceTable.capacity(in: update, from: id) }
      update.fields[name] = .double(1)
    }
    #expect(try DeviceTable.capacity(in: update, from: id).layerSeconds == 1)
    update.fields["layer_seconds"] = .double(-1)
    #expect(throws: ApusError.self) { try DeviceTable.capacity(in: update, from: id) }
  }
}
