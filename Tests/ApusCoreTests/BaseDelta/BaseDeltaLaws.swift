import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

/// A change of one site of shape [d_out, d_in] and rank m.
private func drawnChange(
  _ shape: [Int], rank: Int, seed: UInt64, site: String = "q"
) -> (change: BaseChange, dense: Tensor) {
  var stream = RandomStream(seed: seed).substream("change")
  let (u, v) = (drawn([shape[0], rank], &stream), drawn([rank, shape[1]], &stream))
  var change = BaseChange()
  change.add(site, u: u, v: v)
  return (change, matmul(u.to(.float64), v.to(.float64)))
}

private let id = ClientID(index: 4, name: "client 4")
private let other = ClientID(index: 7, name: "client 7")

@Suite struct BaseDeltaLaws {
  @Test(arguments: [1, 3, 4, 5, 12])
  func `a change is sent in its smaller form, and adds its product`(rank: Int) throws {
    let (change, dense) = drawnChange([12, 6], rank: rank, seed: 1)
    // 12·6 / (12 + 6) = 4
    #expect(change.tensors.names == (rank < 4 ? ["q.u", "q.v"] : ["q.w"]))
    #expect(change.tensors.elementCount == min(72, 18 * rank))
    var delta = BaseDelta()
    try delta.add(change)
    try delta.add(change)
    expectClose(try #require(delta.sites["q"]), dense * 2, absolute: 1e-5, relative: 1e-5)
    #expect(delta.sites["q"]?.dtype == .float32)
  }

  @Test func `it is kept as factors while these are smaller, and then as a matrix for good`() throws
  {
    var delta = BaseDelta()
    var dense = Tensor.zeros([12, 9], dtype: .float64)
    for index in 0..<5 {  // 2·21·k elements against 108: three changes do not fit
      let (change, product) = drawnChange([12, 9], rank: 2, seed: UInt64(index))
      try delta.add(change)
      dense = dense + product
      #expect(delta.elementCount == min(42 * (index + 1), 108))
      #expect((delta.factors(of: "q") == nil) == (index >= 2))
      expectClose(try #require(delta.matrix(of: "q")), dense, absolute: 1e-5, relative: 1e-5)
      #expect(delta.paths == ["q"])
      #expect(delta.sites.names == ["q"])
      #expect(BaseDelta(in: delta.named).named.isIdentical(to: delta.named))
    }
    var mixed = BaseDelta()
    try mixed.add(drawnChange([12, 9], rank: 1, seed: 1).change)
    try mixed.add(drawnChange([12, 9], rank: 8, seed: 2).change)
    #expect(mixed.factors(of: "q") == nil && mixed.elementCount == 108)
  }

  @Test func `a change can be sent short, where clients know what completes it`() throws {
    var (log, copy) = (BaseDeltaLog(), BaseDeltaCopy())
    func completed(_ sent: BaseChange) -> BaseChange {
      var whole = sent
      whole.add("k", u: .ones([4, 1]), v: .ones([1, 3]))
      return whole
    }
    for seed in 0..<3 as Range<UInt64> {
      let sent = drawnChange([12, 9], rank: 1, seed: seed).change
      try log.append(completed(sent), sentAs: sent)
    }
    let message = try brief(log)
    #expect(message.tensors.elementCount == 3 * 21)
    try copy.update(from: message, completing: completed)
    #expect(copy.delta.named.isIdentical(to: log.delta.named))
    #expect(copy.delta.paths == ["k", "q"])
    #expect(!log.hasHeard(from: id))
    var update = Message()
    copy.stamp(&update)
    try log.confirm(update, from: id)
    #expect(log.hasHeard(from: id) && !log.hasHeard(from: other))
  }

  @Test func `a change that does not fit is refused, and the delta stays`() throws {
    var delta = BaseDelta()
    try delta.add(drawnChange([12, 6], rank: 2, seed: 1).change)
    let before = delta.sites
    var two = drawnChange([12, 6], rank: 2, seed: 2, site: "a").change
    two.add("q", u: .ones([6, 1]), v: .ones([1, 12]))
    for bad in [
      drawnChange([6, 12], rank: 2, seed: 1).change, drawnChange([6, 12], rank: 9, seed: 1).change,
      two,
    ] {
      let error = #expect(throws: ApusError.self) { try delta.add(bad) }
      #expect(error?.code == .shapeMismatch)
      #expect(delta.sites.isIdentical(to: before))
    }
  }

  @Test func `it lives among trainable tensors under names of its own`() throws {
    var delta = BaseDelta()
    try delta.add(drawnChange([4, 3], rank: 1, seed: 1).change)
    let together = vector([1, 2]).merging(delta.named)
    #expect(together.withoutBaseDelta.names == ["x"])
    #expect(BaseDelta(in: together).sites.isIdentical(to: delta.sites))
    #expect(BaseDelta(in: vector([1])).isEmpty)
  }

  /// Sends through bytes what a client lacks.
  private func brief(_ log: BaseDeltaLog, for client: ClientID = id) throws -> Message {
    var message = Message()
    log.complete(&message, for: client)
    return try Message(encoded: message.encoded(), at: "brief")
  }

  @Test(arguments: 0..<5 as Range<UInt64>)
  func `a client that catches up has the bits of one that never missed`(seed: UInt64) throws {
    var (log, each, late) = (BaseDeltaLog(), BaseDeltaCopy(), BaseDeltaCopy())
    for index in 0..<9 {
      try log.append(
        drawnChange([12, 9], rank: 1 + index % 3, seed: seed * 10 + UInt64(index)).change)
      try log.append(BaseChange())
      var update = Message()
      try each.update(from: brief(log))
      each.stamp(&update)
      try log.confirm(update, from: id)
      guard index % 4 == 1 else { continue }
      try late.update(from: brief(log, for: other))
      late.stamp(&update)
      try log.confirm(update, from: other)
    }
    #expect(log.version == 9 && each.version == 9 && late.version == 6)
    // Whatever the server believes, a copy takes only what it lacks.
    for known in 0...late.version {
      var (update, copy) = (Message(), late)
      update.fields["base_version"] = .int(known)
      try log.confirm(update, from: id)
      try copy.update(from: brief(log))
      #expect(copy.delta.sites.isIdentical(to: log.delta.sites), "known \(known)")
      #expect(copy.delta.sites.isIdentical(to: each.delta.sites))
      #expect(try brief(log).tensors.elementCount <= 12 * 9)
    }
  }

  @Test func `a brief that leaves a gap, or an older one, is refused`() throws {
    var (log, copy) = (BaseDeltaLog(), BaseDeltaCopy())
    try log.append(drawnChange([12, 9], rank: 1, seed: 1).change)
    let first = try brief(log)
    try copy.update(from: first)
    try log.append(drawnChange([12, 9], rank: 1, seed: 2).change)
    var update = Message()
    copy.stamp(&update)
    try log.confirm(update, from: id)
    let second = try brief(log)
    var fresh = BaseDeltaCopy()
    #expect(throws: ApusError.self) { try fresh.update(from: second) }
    #expect(throws: ApusError.self) { try fresh.update(from: Message()) }
    #expect(fresh.version == 0 && fresh.delta.isEmpty)
    try copy.update(from: second)
    #expect(throws: ApusError.self) { try copy.update(from: first) }
    #expect(copy.version == 2)
  }

  @Test func `log and copy go on from their snapshots`() throws {
    var (log, copy) = (BaseDeltaLog(), BaseDeltaCopy())
    #expect(copy.snapshot.isEmpty)
    for seed in 0..<3 as Range<UInt64> {
      try log.append(drawnChange([12, 9], rank: 1, seed: seed).change)
      if seed == 1 {
        try copy.update(from: brief(log))
        var update = Message()
        copy.stamp(&update)
        try log.confirm(update, from: id)
      }
    }
    let stored = Snapshot(groups: log.groups, fields: log.fields)
    let resumed = try BaseDeltaLog(Snapshot(encoded: stored.encoded(), at: "server"))
    #expect(try brief(resumed).encoded() == brief(log).encoded())
    #expect(try brief(log).tensors.count == 2)
    var again = BaseDeltaCopy()
    try again.restore(Snapshot(encoded: copy.snapshot.encoded(), at: "client"))
    try again.update(from: brief(resumed))
    #expect(again.delta.sites.isIdentical(to: log.delta.sites))
    #expect(throws: ApusError.self) { try BaseDeltaLog(Snapshot()) }
    #expect(throws: ApusError.self) { try again.restore(Snapshot(tensors: vector([1]))) }
    #expect(again.version == 3)
  }
}
