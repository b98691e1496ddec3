import ApusBase
import ApusCore
import ApusTestSupport
import ApusTorch
import Testing

private let pairs = [
  FactorPair(site: "q", a: "q.A", b: "q.B", scaling: 0.5),
  FactorPair(site: "v", a: "v.A", b: "v.B", scaling: 2),
]

/// Factors of both sites, [5, 4] and [3, 6], and a head.
private func drawnFactors(rank: Int, seed: UInt64) -> NamedTensors {
  var stream = RandomStream(seed: seed).substream("factors")
  return NamedTensors([
    "q.A": drawn([rank, 4], &stream), "q.B": drawn([5, rank], &stream),
    "v.A": drawn([rank, 6], &stream), "v.B": drawn([3, rank], &stream),
    "head": drawn([3], &stream),
  ])
}

private func product(_ values: NamedTensors, _ pair: FactorPair) throws -> Tensor {
  matmul(
    try #require(values[pair.b]).to(.float64), try #require(values[pair.a]).to(.float64))
}

@Suite struct RankedFactorsLaws {
  @Test func `padding is inert, and truncation takes it away again`() throws {
    let (small, large) = (drawnFactors(rank: 2, seed: 1), drawnFactors(rank: 3, seed: 2))
    let padded = small.padded(like: large, pairs)
    for pair in pairs {
      #expect(padded.rank(of: pair) == 3 && small.rank(of: pair) == 2)
      expectClose(
        try product(padded, pair), try product(small, pair), absolute: 1e-15, relative: 0)
    }
    #expect(padded.truncated(toRank: 2, pairs).isIdentical(to: small))
    #expect(large.padded(like: small, pairs).isIdentical(to: large))
    #expect(small.truncated(toRank: 3, pairs).isIdentical(to: small))
  }

  @Test func `what a low rank gets is the leading part of what a high one gets`() throws {
    let whole = drawnFactors(rank: 3, seed: 3)
    let (two, one) = (whole.truncated(toRank: 2, pairs), whole.truncated(toRank: 1, pairs))
    #expect(two.truncated(toRank: 1, pairs).isIdentical(to: one))
    #expect(one["head"]?.isIdentical(to: try #require(whole["head"])) == true)
    #expect(two.factors(of: pairs).names == ["q.A", "q.B", "v.A", "v.B"])
    #expect(two.withoutFactors(of: pairs).names == ["head"])
  }

  @Test func `with one alpha the scaling is inverse to the rank`() {
    let scalings = drawnFactors(rank: 1, seed: 1)
      .scalings(of: pairs, configured: drawnFactors(rank: 3, seed: 1))
    #expect(scalings == ["q": 1.5, "v": 6])
  }

  @Test func `factors of any one rank pass, and nothing else does`() throws {
    let expected = drawnFactors(rank: 2, seed: 1)
    for rank in 1...3 {
      try drawnFactors(rank: rank, seed: 5).requireFactors(of: expected, pairs, at: "here")
    }
    let good = drawnFactors(rank: 2, seed: 5)
    var bad: [NamedTensors] = [drawnFactors(rank: 3, seed: 5)]
    for (name, tensor) in [
      ("q.A", Tensor.ones([1, 4])), ("q.A", .ones([2, 5])), ("q.B", .ones([6, 2])),
      ("head", .ones([4])), ("more", .ones([1])), ("q.B", .full([5, 2], .infinity)),
    ] {
      var broken = good
      broken[name] = tensor
      bad.append(broken)
    }
    for broken in bad + [good.filtered { $0 != "v.B" }, good.filtered { $0 != "head" }] {
      #expect(throws: ApusError.self) {
        try broken.requireFactors(of: expected, pairs, upToRank: 2, at: "here")
      }
    }
  }
}

@Suite struct SiteMeansLaws {
  @Test(arguments: 0..<5 as Range<UInt64>)
  func `each site is averaged by its own weights over those that have it`(seed: UInt64) throws {
    let updates = (0..<3).map { drawnFactors(rank: 2, seed: seed * 10 + UInt64($0)) }
    let former = drawnFactors(rank: 2, seed: 99)
    var means = SiteMeans(like: former, pairs)
    let weights: [[Double?]] = [[1, nil], [3, 2], [nil, 5]]
    for (update, weights) in zip(updates, weights) {
      let owned = zip(pairs, weights).filter { $1 != nil }.map(\.0)
      let sent = update.withoutFactors(of: pairs).merging(update.factors(of: owned))
      try means.absorb(sent, weights: weights, otherWeight: 2, at: "here")
    }
    let found = means.finish()
    let mean = try #require(found)
    func combined(_ name: String, _ shares: [Double]) throws -> Tensor {
      stacked(
        try zip(updates, shares).map { try #require($0[name]).to(.float64) * $1 }
      ).sum([0])
    }
    let shares: [String: [Double]] = ["q.A": [0.25, 0.75, 0], "v.B": [0, 2.0 / 7, 5.0 / 7]]
    for (name, shares) in shares {
      expectClose(
        try #require(mean[name]), try combined(name, shares), absolute: 1e-6, relative: 1e-6)
    }
    let third = Array(repeating: 1.0 / 3, count: 3)
    expectClose(
      try #require(mean["head"]), try combined("head", third), absolute: 1e-6, relative: 1e-6)
  }

  @Test func `a site that nobody had keeps every bit, and without updates there is no mean`()
    throws
  {
    let former = drawnFactors(rank: 2, seed: 99)
    var means = SiteMeans(like: former, pairs)
    #expect(means.finish() == nil)
    let update = drawnFactors(rank: 2, seed: 1).filtered { !$0.hasPrefix("v.") }
    try means.absorb(update, weights: [4, nil], otherWeight: 4, at: "here")
    let found = means.finish()
    let mean = try #require(found)
    #expect(mean.filtered { !$0.hasPrefix("v.") }.isIdentical(to: update))
    #expect(
      mean.filtered { $0.hasPrefix("v.") }
        .isIdentical(to: former.filtered { $0.hasPrefix("v.") }))
  }

  @Test func `an update that does not have what its weights say leaves no trace`() throws {
    let former = drawnFactors(rank: 2, seed: 99)
    var means = SiteMeans(like: former, pairs)
    let update = drawnFactors(rank: 2, seed: 1)
    try means.absorb(update, weights: [1, 1], otherWeight: 1, at: "here")
    var broken = update
    broken["v.B"] = .full([3, 2], .nan)
    for (bad, weights) in [(update, [1, nil]), (broken, [1, 1])] as [(NamedTensors, [Double?])] {
      #expect(throws: ApusError.self) {
        try means.absorb(bad, weights: weights, otherWeight: 1, at: "here")
      }
    }
    #expect(means.count == 1)
    #expect(means.finish()?.isIdentical(to: update) == true)
  }
}

@Suite struct ClientSizesLaws {
  @Test func `rank and parameters of each client are reported, with their means`() {
    var sizes = ClientSizes(pairs)
    #expect(sizes.metrics.isEmpty)
    for rank in [1, 3] {
      sizes.note(
        drawnFactors(rank: rank, seed: 1), from: ClientID(index: rank, name: "c\(rank)"))
    }
    #expect(
      sizes.metrics == [
        "rank/c1": 1, "rank/c3": 3, "mean_rank": 2, "parameters/c1": 21, "parameters/c3": 57,
        "mean_parameters": 39,
      ])
  }
}
