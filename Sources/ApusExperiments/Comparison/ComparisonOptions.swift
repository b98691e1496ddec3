public import ApusBase

/// The section `compare` of an experiment file: what is varied, and how often it is repeated.
public struct ComparisonOptions: OptionGroup, Equatable {
  /// One entry of a comparison: the experiment with some settings of its own.
  public struct Variant: OptionGroup, Equatable {
    /// Name in tables and folders.
    public var name = ""
    /// Settings by dotted key, such as `training.learning-rate`, over those of the file.
    public var set: [String: String] = [:]

    public init() {}

    public func validate() throws(ApusError) {
      try require(
        !name.isEmpty && name.allSatisfy(Self.isAllowed) && !name.hasPrefix("."), "name",
        "\"\(name)\" cannot be the name of a folder",
        remedy: "Use letters, digits, \"-\", \"_\" and \".\"")
    }

    static func isAllowed(_ character: Character) -> Bool {
      character.isLetter || character.isNumber || "-_.".contains(character)
    }
  }

  /// Methods by their ids, each with its own defaults and the file's settings; empty for that of
  /// the file alone.
  public var methods: [String] = []
  /// Entries with settings of their own, beside ``methods``.
  public var variants: [Variant] = []
  /// Values to try for each dotted key; every entry is run with every combination.
  public var grid: [String: [String]] = [:]
  /// Every entry is run once with each of these seeds; empty for that of the file alone.
  public var seeds: [UInt64] = []
  /// Value of ``metric`` whose first round and traffic are reported; 0 for none.
  public var target = 0.0
  /// What is compared, as runs record it; nothing for the metric that tells most about the task.
  public var metric: String?

  public init() {}

  public func validate() throws(ApusError) {
    for variant in variants { try variant.validate() }
    for (key, values) in grid.sorted(by: { $0.key < $1.key }) {
      try require(
        !values.isEmpty, "grid.\(key)", "there is no value to try",
        remedy: "Write a list, such as [1e-3, 1e-2]")
    }
    try require(
      Set(seeds).count == seeds.count, "seeds", "a seed occurs twice",
      remedy: "Give every seed once")
    try require(
      target.isFinite, "target", "\(target) is no number", remedy: "Give a number, or 0 for none")
  }
}

extension Experiment {
  /// Reads the section `compare` of an experiment's text alone.
  static func comparison(
    parsing text: String, file: String, assignments: [String]
  ) throws(ApusError) -> ComparisonOptions {
    let top = try ConfigurationNode.parse(text, file: file, assignments: assignments)
    return try OptionReader.read(top["compare"])
  }
}
