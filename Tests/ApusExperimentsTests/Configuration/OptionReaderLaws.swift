import ApusBase
import ApusCore
import ApusMethods
import Testing

@testable import ApusExperiments

/// One setting as a file may write it, and what it then is.
private struct Case: Sendable, CustomTestStringConvertible {
  let yaml: String
  let expect: @Sendable (inout SampleOptions) -> Void

  init(_ yaml: String, _ expect: @escaping @Sendable (inout SampleOptions) -> Void) {
    (self.yaml, self.expect) = (yaml, expect)
  }

  var testDescription: String { yaml }
}

private let accepted = [
  Case("local-epochs: 7") { $0.localEpochs = 7 }, Case("local_epochs: 7") { $0.localEpochs = 7 },
  Case("localEpochs: 7") { $0.localEpochs = 7 },
  Case("local-epochs: 1_000") { $0.localEpochs = 1_000 },
  Case("local-epochs: 1e3") { $0.localEpochs = 1_000 },
  Case("local-epochs: \"7\"") { $0.localEpochs = 7 },
  Case("local-epochs: 9223372036854775807") { $0.localEpochs = .max },
  Case("learning-rate: 1e-3") { $0.learningRate = 1e-3 },
  Case("learning-rate: 1_000.5") { $0.learningRate = 1_000.5 },
  Case("learning-rate: 3") { $0.learningRate = 3 },
  Case("learning-rate: -.5") { $0.learningRate = -0.5 },
  Case("learning-rate: 0.1234567890123456") { $0.learningRate = 0.1234567890123456 },
  Case("learning-rate: 5e-324") { $0.learningRate = .leastNonzeroMagnitude },
  Case("seed: 18446744073709551615") { $0.seed = .max }, Case("seed: 0") { $0.seed = 0 },
  Case("name: 12") { $0.name = "12" }, Case("name: \"null\"") { $0.name = "null" },
  Case("name: 'ü: # x'") { $0.name = "ü: # x" }, Case("name: ''") { $0.name = "" },
  Case("is-quiet: yes") { $0.isQuiet = true }, Case("is-quiet: TRUE") { $0.isQuiet = true },
  Case("is-quiet: off") { $0.isQuiet = false },
  Case("mode: two-words") { $0.mode = .twoWords }, Case("mode: Plain") { $0.mode = .plain },
  Case("mode: two_words") { $0.mode = .twoWords },
  Case("step-limit: 5") { $0.stepLimit = 5 }, Case("step-limit: null") { $0.stepLimit = nil },
  Case("target: null") { $0.target = nil }, Case("target: ~") { $0.target = nil },
  Case("target:") { $0.target = nil }, Case("target: 0.5") { $0.target = 0.5 },
  Case("note: null") { $0.note = nil }, Case("note: \"~\"") { $0.note = "~" },
  Case("fallback: plain") { $0.fallback = .plain }, Case("fallback: null") { $0.fallback = nil },
  Case("ranks: []") { $0.ranks = [] }, Case("ranks: [1, 2e1, 3_0]") { $0.ranks = [1, 20, 30] },
  Case("ranks:\n  - 5\n  - 6") { $0.ranks = [5, 6] },
  Case("rates: [1, 1e-3]") { $0.rates = [1, 1e-3] },
  Case("sites: [query, value]") { $0.sites = ["query", "value"] },
  Case("sites: [\"1\", 2, yes, 'null', 1e3]") { $0.sites = ["1", "2", "yes", "null", "1e3"] },
  Case("counts: {a: 1, b_c: 2, 3: 4, true: 5, \"6\": 7}") {
    $0.counts = ["a": 1, "b_c": 2, "3": 4, "true": 5, "6": 7]
  },
  Case("inner:\n  kind: two-words") { $0.inner.kind = .twoWords },
  Case("inner: {clip_norm: 2}") { $0.inner.clipNorm = 2 },
  Case("backup: {}") { $0.backup = .init() }, Case("backup: null") { $0.backup = nil },
  Case("backup: {kind: third}") { $0.backup = .init(kind: .third) },
  Case("many: [{kind: third}, {}]") { $0.many = [.init(kind: .third), .init()] },
  Case("small: 2e2") { $0.small = 200 }, Case("ratio: 0.1") { $0.ratio = 0.1 },
  Case("span: {low: 2, unit: \"5\"}") { $0.span = .init(low: 2, unit: "5") },
  Case("span: {low: 1e1, unit: null}") { $0.span = .init(low: 10) },
  Case("inner:") { _ in }, Case("inner: {}") { _ in }, Case("") { _ in }, Case("# only") { _ in },
]

/// A file that is refused, where the error points, and a part of what it says.
private let refused: [(yaml: String, place: String, problem: String)] = [
  ("\nlocal-epochs: many", "run.yaml:2, local-epochs", "whole number, found \"many\""),
  ("local-epochs: 1.5", "run.yaml:1, local-epochs", "whole number, found \"1.5\""),
  ("local-epochs:", "run.yaml:1, local-epochs", "whole number"),
  ("local-epochs: null", "run.yaml:1, local-epochs", "whole number"),
  ("local-epochs: [1]", "run.yaml:1, local-epochs", "one value"),
  ("local-epochs: 1e30", "run.yaml:1, local-epochs", "whole number"),
  ("local-epochs: 0", "run.yaml:1, local-epochs", "0 is below 1"),
  ("name: x\nlocal_epochs: 0", "run.yaml:2, local_epochs", "0 is below 1"),
  ("learning-rate: fast_er", "run.yaml:1, learning-rate", "a number, found \"fast_er\""),
  ("learning-rate: .nan", "run.yaml:1, learning-rate", "a number"),
  ("learning-rate: nan", "run.yaml:1, learning-rate", "a number"),
  ("learning-rate: .inf", "run.yaml:1, learning-rate", "a number"),
  ("learning-rate: 1e400", "run.yaml:1, learning-rate", "a number"),
  ("seed: -1", "run.yaml:1, seed", "-1"),
  ("seed: 18446744073709551616", "run.yaml:1, seed", "whole number"),
  ("name: null", "run.yaml:1, name", "text"), ("name: {a: b}", "run.yaml:1, name", "one value"),
  ("is-quiet: maybe", "run.yaml:1, is-quiet", "true or false, found \"maybe\""),
  ("is-quiet: 1", "run.yaml:1, is-quiet", "true or false"),
  ("mode: fourth", "run.yaml:1, mode", "\"fourth\" is none of the values"),
  ("fallback: fourth", "run.yaml:1, fallback", "\"fourth\" is none of the values"),
  ("target: high", "run.yaml:1, target", "a number"),
  ("ranks: 4", "run.yaml:1, ranks", "list"), ("ranks: {a: 1}", "run.yaml:1, ranks", "list"),
  ("ranks:\n  - 1\n  - x", "run.yaml:3, ranks[1]", "whole number, found \"x\""),
  ("sites: [a, [b]]", "run.yaml:1, sites[1]", "one value"),
  ("counts: {a: b}", "run.yaml:1, counts.a", ""), ("counts: [1]", "run.yaml:1, counts", ""),
  ("counts: {a: .nan}", "run.yaml:1, counts.a", ""),
  ("inner: 3", "run.yaml:1, inner", "section"), ("inner: [kind]", "run.yaml:1, inner", "section"),
  ("inner:\n  kind: wrong", "run.yaml:2, inner.kind", "none of the values"),
  ("inner:\n\n  clip_norm: -1", "run.yaml:3, inner.clip_norm", "-1.0 is negative"),
  ("name: a\nlocal-epoch: 2", "run.yaml:2, local-epoch", "no setting \"local-epoch\""),
  ("nested:\n  x: 2", "run.yaml:1, nested", "no setting \"nested\""),
  ("local-epochs: 1\nlocal_epochs: 2", "run.yaml:2, local_epochs", "twice"),
  ("small: 256", "run.yaml:1, small", "whole number"),
  ("many:\n  - kind: third\n  - kin: third", "run.yaml:3, many[1].kin", "no setting"),
  ("span: {unit: s}", "run.yaml:1, span", "low"),
  ("span:\n  low: .nan", "run.yaml:2, span.low", ""), ("span: [1]", "run.yaml:1, span", ""),
  ("? [a, b]\n: 1", "run.yaml:1", "name"), ("1: 2", "run.yaml:1, 1", "no setting \"1\""),
]

@Suite struct OptionReaderLaws {
  @Test(arguments: accepted)
  fileprivate func `a value of the file takes the default's place, and only its`(
    sample: Case
  ) throws {
    var expected = SampleOptions()
    sample.expect(&expected)
    #expect(try read(sample.yaml) == expected)
  }

  @Test(arguments: refused)
  func `what does not fit is refused at its line and path`(
    yaml: String, place: String, problem: String
  ) {
    let error = refusal(yaml)
    #expect(error?.location == place)
    #expect(error?.problem.contains(problem) == true, "\(error?.problem ?? "")")
  }

  @Test func `an unknown key is answered with the likely one and with all`() {
    let remedy = refusal("local_epoch: 2")?.remedy
    #expect(remedy?.hasPrefix("Did you mean \"local-epochs\"?") == true)
    #expect(remedy?.contains("is-quiet") == true)
    #expect(refusal("inner:\n  clipnorm: 1")?.remedy.contains("\"clip-norm\"") == true)
    #expect(refusal("zebra: 1")?.remedy.hasPrefix("Allowed: local-epochs, ") == true)
  }

  @Test(arguments: ["mode: thrid", "fallback: thrid", "inner: {kind: thrid}"])
  func `an unknown case is answered with the likely one and with all`(yaml: String) {
    let remedy = refusal(yaml)?.remedy
    #expect(remedy == "Did you mean \"third\"? Allowed: plain, two-words, third")
  }

  @Test func `names are as a file writes them`() {
    #expect(OptionReader.names(of: SampleOptions.Inner()) == ["kind", "clip-norm"])
  }

  @Test func `a group known only at run time is read alike`() throws {
    let node = try ConfigurationNode.parse("inner: {clip-norm: 3}", file: "run.yaml")
    var defaults = SampleOptions()
    defaults.localEpochs = 9
    let found = try #require(
      OptionReader.readErased(node, over: defaults) as? SampleOptions)
    #expect(found.localEpochs == 9)
    #expect(found.inner.clipNorm == 3)
  }
}

/// The groups that experiment files set.
@Suite struct OptionGroupsLaws {
  @Test func `an empty section gives the defaults, bit for bit`() throws {
    #expect(try read("", as: LocalTraining.self) == LocalTraining())
    #expect(try read("", as: Aggregation.self) == Aggregation())
    #expect(try read("", as: ServerOptimizerConfiguration.self) == ServerOptimizerConfiguration())
    #expect(try read("", as: OptimizerOptions.self) == OptimizerOptions())
    for method in MethodCatalog.all {
      let node = try ConfigurationNode.parse("", file: "run.yaml")
      let found = try OptionReader.read(node, over: method.localTraining)
      #expect(found == method.localTraining)
      let options = try OptionReader.readErased(node, over: method.defaultOptions)
      _ = try method.make(#require(options as? any MethodOptions))
    }
  }

  @Test(arguments: [
    ("server:\n  learning-rate: 0", "run.yaml:2, server.learning-rate"),
    ("weighting: uniform\nserver: {kind: fedadam, tau: -1}", "run.yaml:2, server.tau"),
    ("server:\n  kind: fedadam\n  beta1: 1", "run.yaml:3, server.beta1"),
    ("server:\n  momentun: 1", "run.yaml:2, server.momentun"),
  ])
  func `an error of the server's rule points below server`(yaml: String, place: String) {
    #expect(refusal(yaml, as: Aggregation.self)?.location == place)
  }

  @Test(arguments: [
    ("batch-size: 0", "run.yaml:1, batch-size"), ("clip-norm: -1", "run.yaml:1, clip-norm"),
    ("warmup-share: 1.5", "run.yaml:1, warmup-share"),
    ("learning_rate: 0", "run.yaml:1, learning_rate"),
    ("optimizer:\n  kind: sgd\n  momentum: -1", "run.yaml:3, optimizer.momentum"),
    ("optimizer:\n  weight-decay: -1", "run.yaml:2, optimizer.weight-decay"),
    ("optimizer: {kind: sgd, nesterov: true, momentum: 0}", "run.yaml:1, optimizer.momentum"),
    ("optimizer: {beta1: 1}", "run.yaml:1, optimizer.beta1"),
    ("optimizer: {epsilon: -1}", "run.yaml:1, optimizer.epsilon"),
    ("optimizer: {kind: adagrad}", "run.yaml:1, optimizer.kind"),
  ])
  func `an error of local training points to its setting`(yaml: String, place: String) {
    #expect(refusal(yaml, as: LocalTraining.self)?.location == place)
  }
}
