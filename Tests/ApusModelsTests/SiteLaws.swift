import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Testing

@Suite struct SiteLaws {
  let golden: Golden
  init() throws { golden = try Golden() }

  private final class Doubling: ResidualAdapter {
    func adapted(_ branch: Tensor, input: Tensor, pass: ForwardPass) -> Tensor { branch * 2 }
  }

  private final class Prompt: SequenceAdapter {
    let replacesEarlier: Bool
    private let value: Tensor
    init(_ value: Tensor, replacesEarlier: Bool) {
      self.value = value
      self.replacesEarlier = replacesEarlier
    }
    func tokens(_ pass: ForwardPass) -> Tensor { value }
  }

  private final class Prefix: AttentionAdapter {
    func keysAndValues(_ pass: ForwardPass) -> (keys: Tensor, values: Tensor) {
      (Tensor.ones([4, 2, 8]), Tensor.ones([4, 2, 8]))
    }
  }

  private func sites<Site: Module>(_ model: TextClassifier, _ type: Site.Type) -> [Site] {
    var found: [Site] = []
    model.walk { if let site = $1 as? Site { found.append(site) } }
    return found
  }

  @Test func `every block has its sites, and every linear layer but the head is one`() throws {
    let model = try Golden.model()
    #expect(sites(model, ResidualSite.self).count == 4)
    #expect(sites(model, SequenceSite.self).count == 2)
    #expect(sites(model, AttentionSite.self).count == 2)
    #expect(sites(model, ProjectionSite.self).count == 13)
    var paths: [String] = []
    model.walk { if $1 is ProjectionSite { paths.append($0) } }
    #expect(paths.contains("bert.encoder.layer.1.attention.self.query"))
    #expect(paths.contains("bert.encoder.layer.0.output.dense"))
  }

  @Test func `adapters at all kinds of sites act, and leave no trace when removed`() throws {
    let model = try Golden.model(.mean)
    let batch = try golden.batch
    let before = model.evaluatedLogits(batch)
    var seen = [before]
    func expectActs() {
      let now = model.evaluatedLogits(batch)
      #expect(now.isFinite.allTrue)
      #expect(now.shape == before.shape)
      for other in seen { #expect(!now.isIdentical(to: other)) }
      seen.append(now)
    }
    for site in sites(model, ResidualSite.self) {
      site.adapter = Doubling()
      expectActs()
      site.adapter = nil
    }
    for site in sites(model, AttentionSite.self) {
      site.adapter = Prefix()
      expectActs()
      site.adapter = nil
    }
    for (index, site) in sites(model, SequenceSite.self).enumerated() {
      site.adapter = Prompt(Tensor.ones([index + 1, 32]), replacesEarlier: index == 1)
      expectActs()
    }
    for site in sites(model, SequenceSite.self) { site.adapter = nil }
    #expect(model.evaluatedLogits(batch).isIdentical(to: before))
  }

  @Test func `a prompt of no tokens changes nothing`() throws {
    let model = try Golden.model(.mean)
    let before = try model.evaluatedLogits(golden.batch)
    for site in sites(model, SequenceSite.self) {
      site.adapter = Prompt(Tensor.zeros([0, 32]), replacesEarlier: false)
    }
    expectClose(
      try model.evaluatedLogits(golden.batch), before, absolute: 1e-6, relative: 1e-5)
  }

  @Test(arguments: [false, true])
  func `prompts give the same whether examples come together or alone`(replaces: Bool) throws {
    let model = try Golden.model()
    var stream = RandomStream(seed: 5)
    for site in sites(model, SequenceSite.self) {
      let tokens = Tensor.normal([3, 32], stream: &stream)
      site.adapter = Prompt(tokens, replacesEarlier: replaces)
    }
    let together = try model.evaluatedLogits(golden.batch)
    let alone = try zip(golden.examples, golden.types).map { ids, types in
      model.evaluatedLogits(try TokenBatch([ids], types: [types]))
    }
    expectClose(concatenated(alone), together, absolute: 1e-5, relative: 1e-5)
  }
}
