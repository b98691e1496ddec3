public import ApusBase
import ApusCore
import ApusMethods
import ApusTraining
public import Foundation

/// Several runs of one experiment that differ in what is compared, and in the seed.
///
/// Every run is an ordinary one with a folder of its own, so a comparison is resumed run by run,
/// and each of its runs can be looked at, or repeated, alone. Runs with the same seed have the same
/// partition, cohorts and start values.
public struct Comparison: Sendable {
  /// One entry of the comparison with one seed.
  public struct Member: Sendable {
    /// Name of the entry.
    public let entry: String
    /// Seed of the run.
    public let seed: UInt64
    /// The experiment, read and checked.
    public let experiment: Experiment
    /// Where the run is kept.
    public let folder: URL
  }

  /// Name of the comparison.
  public let name: String
  /// Folder of its runs and its report.
  public let folder: URL
  /// What is compared.
  public let options: ComparisonOptions
  /// The metric that is compared: that of the options, or the headline of the task.
  public let metric: String
  /// The entries in order.
  public let entries: [String]
  /// All runs: entry by entry, seed by seed.
  public let members: [Member]

  /// Reads an experiment file with what is to be compared, and checks every run of it.
  ///
  /// - Parameters:
  ///   - url: The experiment file; its section `compare` may say everything.
  ///   - assignments: Such as `federation.rounds=8` or `compare.seeds=[1,2]`, over the file.
  ///   - methods: What to run instead of all that the file names: its entries of these names, and
  ///     methods with their own settings. Empty for the file's.
  ///   - runs: Folder of all runs.
  ///   - name: Name of the comparison; that of the experiment if nil.
  /// - Throws: ``ApusError`` `.fileAccess` if the file cannot be read, `.invalidConfig` for what is
  ///   wrong in it or in any of the runs, naming the entry.
  public init(
    contentsOf url: URL, assignments: [String] = [], methods: [String] = [], runs: URL,
    name: String? = nil
  ) throws(ApusError) {
    try self.init(
      parsing: Experiment.text(of: url), file: url.lastPathComponent,
      folder: url.deletingLastPathComponent(), assignments: assignments, methods: methods,
      runs: runs, name: name)
  }

  /// Reads an experiment's text with what is to be compared, and checks every run of it.
  ///
  /// - Parameters:
  ///   - text: YAML.
  ///   - file: Name for errors.
  ///   - dataFolder: Where relative paths start.
  ///   - assignments: Over what the text says.
  ///   - methods: What to run instead of all that the file names: its entries of these names, and
  ///     methods with their own settings. Empty for the file's.
  ///   - runs: Folder of all runs.
  ///   - name: Name of the comparison; that of the experiment if nil.
  /// - Throws: ``ApusError`` `.invalidConfig` for what is wrong in the text or in any of the runs,
  ///   naming the entry.
  public init(
    parsing text: String, file: String, folder dataFolder: URL, assignments: [String] = [],
    methods: [String] = [], runs: URL, name: String? = nil
  ) throws(ApusError) {
    options = try Experiment.comparison(parsing: text, file: file, assignments: assignments)
    func experiment(_ own: [String]) throws(ApusError) -> Experiment {
      try Experiment(
        parsing: text, file: file, folder: dataFolder, assignments: assignments + own)
    }
    let base = try experiment([])
    let name = name ?? base.name
    let folder = runs.appending(path: name)
    let entries = try ComparisonEntry.all(
      of: options, method: base.method.card.id, only: methods)
    var members: [Member] = []
    for entry in entries {
      for seed in options.seeds.isEmpty ? [base.seed] : options.seeds {
        let one: Experiment
        do { one = try experiment(entry.assignments + ["seed=\(seed)"]) } catch {
          throw error.located(in: "entry \(entry.name)")
        }
        members.append(
          Member(
            entry: entry.name, seed: seed, experiment: one,
            folder: folder.appending(path: entry.name).appending(path: "seed-\(seed)")))
      }
    }
    self.name = name
    self.folder = folder
    self.entries = entries.map(\.name)
    self.members = members
    metric = options.metric ?? base.task.kind.headline
  }
}

/// An entry of a comparison: its name, and its settings as assignments.
struct ComparisonEntry: Hashable {
  let name: String
  let assignments: [String]

  /// Methods and variants in the order of the file, each with every combination of the grid.
  ///
  /// - Parameters:
  ///   - options: What is compared.
  ///   - method: Id of the file's own method, for an entry without one.
  ///   - names: Entries to keep, or methods to add, instead of all; empty for all.
  /// - Returns: At least one entry.
  /// - Throws: ``ApusError`` `.invalidConfig` if two entries have one name.
  static func all(
    of options: ComparisonOptions, method: String, only names: [String]
  ) throws(ApusError) -> [ComparisonEntry] {
    func plain(_ id: String) -> ComparisonEntry {
      // The file's options are those of its own method.
      ComparisonEntry(name: id, assignments: id == method ? [] : ["method={name: \(id)}"])
    }
    var entries = options.methods.map(plain)
    entries += options.variants.map { variant in
      ComparisonEntry(name: variant.name, assignments: assignments(variant.set))
    }
    if !names.isEmpty {
      entries = names.map { name in entries.first { $0.name == name } ?? plain(name) }
    }
    if entries.isEmpty { entries = [plain(method)] }
    for (key, values) in options.grid.sorted(by: { $0.key < $1.key }) {
      entries = entries.flatMap { entry in
        values.map { entry.with(key, value: $0) }
      }
    }
    let names = entries.map(\.name)
    if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
      throw ApusError(
        .invalidConfig, at: "compare", "there are two entries \"\(twice)\"",
        remedy: "Give each entry a name of its own")
    }
    return entries
  }

  /// A method comes first and takes the place of the file's, whose options are its own.
  private static func assignments(_ settings: [String: String]) -> [String] {
    let sorted = settings.sorted { $0.key < $1.key }
    let method = sorted.filter { $0.key == "method.name" }.map { "method={name: \($0.value)}" }
    return method + sorted.filter { $0.key != "method.name" }.map { "\($0.key)=\($0.value)" }
  }

  private func with(_ key: String, value: String) -> ComparisonEntry {
    let short = key.split(separator: ".").last.map(String.init) ?? key
    let text = value.map { ComparisonOptions.Variant.isAllowed($0) ? String($0) : "_" }.joined()
    return ComparisonEntry(
      name: "\(name)_\(short)_\(text)", assignments: assignments + ["\(key)=\(value)"])
  }
}
