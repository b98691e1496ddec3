import Testing

@testable import ApusBase

@Suite struct RandomStreamLaws {
  @Test func `the same seed and path give the same numbers`() {
    var first = RandomStream(seed: 7).substream("round", 3).substream("client", 17)
    var second = RandomStream(seed: 7).substream("round", 3).substream("client", 17)
    for _ in 0..<100 { #expect(first.next() == second.next()) }
  }

  @Test func `different paths and seeds give different numbers`() {
    let root = RandomStream(seed: 7)
    var streams = [
      root, root.substream("a"), root.substream("b"), root.substream("a", 0),
      root.substream("a", 1), root.substream("a", -1), root.substream("a").substream("b"),
      root.substream("b").substream("a"), RandomStream(seed: 8),
    ]
    let firsts = streams.indices.map { streams[$0].next() }
    #expect(Set(firsts).count == firsts.count)
  }

  @Test func `a substream does not depend on how far its parent was read`() {
    var parent = RandomStream(seed: 1)
    let before = parent.substream("x")
    _ = parent.next()
    #expect(parent.substream("x") == before)
  }

  @Test func `Philox gives the published answers for the zero counter and key`() {
    // Random123's kat_vectors: philox4x32 10, counter 0, key 0.
    #expect(RandomStream.philox(counter: 0, path: 0, seed: 0).0 == 0xe169_c58d_6627_e8d5)
    #expect(RandomStream.philox(counter: 0, path: 0, seed: 0).1 == 0x9b00_dbd8_bc57_ac4c)
  }

  @Test(arguments: 0..<5)
  func `moments are those of the distributions`(seed: UInt64) {
    var stream = RandomStream(seed: seed)
    let count = 20_000
    let uniforms = (0..<count).map { _ in stream.uniform() }
    let normals = (0..<count).map { _ in stream.gaussian() }
    let gammas = (0..<count).map { _ in stream.gamma(shape: 0.5) }
    #expect(uniforms.allSatisfy { 0 <= $0 && $0 < 1 })
    #expect(abs(mean(uniforms) - 0.5) < 0.02)
    #expect(abs(mean(normals)) < 0.04)
    #expect(abs(mean(normals.map { $0 * $0 }) - 1) < 0.06)
    #expect(abs(mean(gammas) - 0.5) < 0.03)
  }

  @Test(arguments: 0..<20)
  func `samples are distinct, sorted and in range`(seed: UInt64) {
    var stream = RandomStream(seed: seed)
    let sample = stream.sample(8, below: 40)
    #expect(sample == Set(sample).sorted())
    #expect(sample.count == 8)
    #expect(sample.allSatisfy { (0..<40).contains($0) })
    #expect(stream.shuffled(0..<40).sorted() == Array(0..<40))
    let shares = stream.dirichlet(Array(repeating: 0.01, count: 10))
    #expect(abs(shares.reduce(0, +) - 1) < 1e-9)
  }

  private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
}
