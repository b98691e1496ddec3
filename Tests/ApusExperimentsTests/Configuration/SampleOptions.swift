import ApusBase
import Testing

@testable import ApusExperiments

/// A group with a setting of every kind.
struct SampleOptions: OptionGroup, Equatable {
  enum Mode: String, Codable, CaseIterable {
    case plain
    case twoWords = "two-words"
    case third
  }

  struct Inner: OptionGroup, Equatable {
    var kind = Mode.plain
    var clipNorm = 0.5

    func validate() throws(ApusError) {
      try require(clipNorm >= 0, "clip-norm", "\(clipNorm) is negative", remedy: "Give ≥ 0")
    }
  }

  /// Settings with a decoder of their own.
  struct Span: Codable, Equatable {
    var low: Double
    var unit: String?
  }

  var localEpochs = 3
  var learningRate = 0.1
  var seed: UInt64 = 1
  var name = "a run"
  var isQuiet = false
  var mode = Mode.third
  var stepLimit: Int?
  var target: Double? = 0.9
  var note: String?
  var fallback: Mode?
  var ranks = [4, 8]
  var rates: [Double] = []
  var sites: [String] = ["query"]
  var counts: [String: Int] = [:]
  var inner = Inner()
  var backup: Inner?
  var many: [Inner] = []
  var small: UInt8 = 7
  var ratio: Float = 0.5
  var span = Span(low: 1, unit: "s")

  func validate() throws(ApusError) {
    try require(
      localEpochs >= 1, "local-epochs", "\(localEpochs) is below 1", remedy: "Give a number ≥ 1")
    for (name, group) in [("inner", inner), ("backup", backup ?? inner)] {
      do throws(ApusError) { try group.validate() } catch {
        throw ApusError(
          error.code, at: "\(name).\(error.location)", error.problem, remedy: error.remedy)
      }
    }
  }
}

/// Reads a group of settings from YAML.
func read<Group: OptionGroup>(
  _ yaml: String, _ assignments: String..., as: Group.Type = SampleOptions.self
) throws(ApusError) -> Group {
  try OptionReader.read(
    ConfigurationNode.parse(yaml, file: "run.yaml", assignments: assignments))
}

/// The error that reading gives, or nil with an issue.
func refusal<Group: OptionGroup>(
  _ yaml: String, _ assignments: String..., as: Group.Type = SampleOptions.self,
  sourceLocation: SourceLocation = #_sourceLocation
) -> ApusError? {
  let error = #expect(throws: ApusError.self, "\(yaml)", sourceLocation: sourceLocation) {
    let top = try ConfigurationNode.parse(yaml, file: "run.yaml", assignments: assignments)
    _ = try OptionReader.read(top, over: Group())
  }
  #expect(error?.code == .invalidConfig, sourceLocation: sourceLocation)
  return error
}
