import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

@Suite struct AdapterSetLaws {
  let golden: Golden
  let random = RandomStream(seed: 7)
  let notes = AdapterNotes(pooling: "cls", labels: ["a", "b", "c"])
  init() throws { golden = try Golden() }

  /// The values with the factors of every site cut to so many rows, or filled up with zeros.
  private func ranked(_ model: AdaptedModel, _ rank: (Int) -> Int) throws -> NamedTensors {
    var values = model.values
    for (index, pair) in model.factorPairs.enumerated() {
      let (a, b) = (try #require(values[pair.a]), try #require(values[pair.b]))
      let (rank, own) = (rank(index), a.size(0))
      let (cutA, cutB) = (a.sliced(0, 0..<min(rank, own)), b.sliced(1, 0..<min(rank, own)))
      let missing = max(0, rank - own)
      values[pair.a] = concatenated([cutA, .zeros([missing, a.size(1)])])
      values[pair.b] = concatenated([cutB, .zeros([b.size(0), missing])], dim: 1)
    }
    return values
  }

  @Test func `whole factors of other ranks are taken, and zeros beside them change nothing`() throws
  {
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, lora { $0.rank = 4 }, random: random)
    try adapted.scramble(seed: 1)
    let logits = try model.evaluatedLogits(golden.batch)
    try adapted.load(ranked(adapted) { 5 + $0 })
    #expect(adapted.adapters[0].members.map(\.adapter.rank) == [5, 6, 7, 8])
    #expect(adapted.trainables.allSatisfy { $0.leaf.requiresGradient })
    expectClose(
      try model.evaluatedLogits(golden.batch), logits, absolute: 1e-6, relative: 1e-5)
    adapted.merge()
    try adapted.load(ranked(adapted) { _ in 4 })
    adapted.unmerge()
    expectClose(
      try model.evaluatedLogits(golden.batch), logits, absolute: 1e-6, relative: 1e-5)
  }

  @Test func `a folder states the ranks that the adapters have by then`() throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(
      model,
      lora {
        ($0.rank, $0.alpha, $0.useRSLoRA) = (4, 6, true)
        $0.alphaPattern = ["value": 3]
      }, random: random)
    try adapted.scramble(seed: 1)
    #expect(adapted.folder(baseModel: nil, notes: notes).configuration == adapted.configuration)
    try adapted.load(ranked(adapted) { 1 + $0 })
    let logits = try model.evaluatedLogits(golden.batch)
    try withTemporaryFolder { folder in
      try adapted.folder(baseModel: nil, notes: notes).write(to: folder)
      let again = try Golden.model()
      let read = try AdaptedModel(again, AdapterFolder(reading: folder))
      #expect(read.adapters[0].members.map(\.adapter.rank) == [1, 2, 3, 4])
      expectClose(
        try again.evaluatedLogits(golden.batch), logits, absolute: 1e-6, relative: 1e-5)
    }
  }

  @Test func `factors that disagree on their rank, or come without each other, are refused`() throws
  {
    let adapted = try AdaptedModel(Golden.model(), lora { $0.rank = 4 }, random: random)
    let before = adapted.values
    let pair = adapted.factorPairs[1]
    for (a, b) in [([3, 32], [32, 2]), ([3, 32], nil), (nil, [32, 5]), ([3, 31], [32, 3])] {
      var values = try ranked(adapted) { _ in 6 }
      values[pair.a] = a.map { .ones($0) }
      values[pair.b] = b.map { .ones($0) }
      let error = #expect(throws: ApusError.self) { try adapted.load(values) }
      #expect(error?.code == .shapeMismatch)
      #expect(adapted.values.isIdentical(to: before))
    }
  }

  @Test func `sets of two names act together, train apart and are stored apart`() throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(model, lora { $0.rank = 4 }, random: random)
    try adapted.add(
      named: "local", lora { ($0.rank, $0.targets) = (2, .allLinear) }, random: random)
    let own = adapted.trainables.map(\.name).filter { $0.hasPrefix("local/base_model.model.") }
    #expect(own.count == 2 * adapted.adapters[1].members.count)
    #expect(Set(adapted.factorPairs.map(\.site)).count < adapted.factorPairs.count)
    try adapted.scramble(seed: 1)
    let both = try model.evaluatedLogits(golden.batch)
    adapted.merge()
    expectClose(try model.evaluatedLogits(golden.batch), both, absolute: 1e-5, relative: 1e-5)
    adapted.unmerge()
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: both))

    let again = try Golden.model()
    let folder = adapted.folder(of: adapted.adapters[1], baseModel: nil, notes: notes)
    #expect(folder.configuration.rank == 2)
    _ = try AdaptedModel(again, folder)
    let values = adapted.values
    try adapted.load(
      values.filtered { !$0.hasPrefix("local/") && $0.contains("lora_B") }.mapValues(\.zerosLike))
    expectClose(
      try model.evaluatedLogits(golden.batch), try again.evaluatedLogits(golden.batch),
      absolute: 1e-6, relative: 1e-5)
    for name in ["", "default", "local", "base_delta"] {
      let error = #expect(throws: ApusError.self) {
        try adapted.add(named: name, lora(), random: random)
      }
      #expect(error?.code == .invalidConfig)
    }
    adapted.detach()
    let plain = try Golden.model().evaluatedLogits(golden.batch)
    #expect(try model.evaluatedLogits(golden.batch).isIdentical(to: plain))
  }

  @Test func `what an adapter contributes alone is what it adds to the output`() throws {
    var stream = RandomStream(seed: 3)
    let site = ProjectionSite(8, 6)
    site.base.weight.value = .normal([6, 8], stream: &stream)
    site.base.bias?.value = .normal([6], stream: &stream)
    let adapter = LoRA(for: site.base, rank: 2, scaling: 0.7, dropout: 0.5, random: stream)
    adapter.b.assignInPlace(.normal([6, 2], stream: &stream))
    let x = Tensor.normal([5, 8], stream: &stream)
    for chance in [nil, stream] {
      let pass = ForwardPass(layout: RowLayout(lengths: [5]), random: chance)
      let output = site.base(x)
      let added = adapter.contribution(of: x, layer: site.base, pass: pass)
      expectClose(
        adapter.adapted(output, input: x, layer: site.base, pass: pass), output + added,
        absolute: 1e-6, relative: 1e-5)
    }
    expectClose(
      adapter.contribution(
        of: x, layer: site.base, pass: ForwardPass(layout: RowLayout(lengths: [5]))),
      matmul(x, adapter.change(of: site.base.weight.value).matrixTransposed), absolute: 1e-6,
      relative: 1e-5)
  }
}
