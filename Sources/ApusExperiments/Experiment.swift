public import ApusAdapters
public import ApusBase
public import ApusCore
public import ApusMethods
public import ApusSimulation
public import Foundation
import Yams

/// One experiment file, read and checked: everything that decides what a run computes.
///
/// Sections of the file are properties here; a setting that the file leaves out has the default
/// of its declaration, or of the method's paper for local training.
public struct Experiment: Sendable {
  /// Name of the run and of its folder.
  public var name: String
  /// Seed of all chance.
  public var seed: UInt64
  /// The backbone.
  public var model: ModelOptions
  /// What the model is trained to do.
  public var task: TaskOptions
  /// Rows, split and partition.
  public var data: DataOptions
  /// The adapter and the head.
  public var adapter: AdapterConfiguration
  /// Which settings of the adapter the file leaves to the architecture and the task.
  private let adapterDefaults: Set<String>
  /// The method.
  public var method: MethodCatalog.Entry
  /// The method's own options.
  public var methodOptions: any MethodOptions
  /// How clients train.
  public var training: LocalTraining
  /// How updates are combined.
  public var aggregation: Aggregation
  /// Rounds, cohorts, deadlines, evaluation.
  public var federation: SimulationOptions
  /// What clients run on.
  public var devices: DeviceOptions
  /// Where and how fast clients run; changes no bit of the result.
  public var engine: EngineOptions
  /// Folder that relative paths start from: that of the file, unless it names another.
  public var folder: URL
  /// The experiment as YAML with assignments and folder in it: what a run keeps.
  public var source: String

  /// Reads an experiment file.
  ///
  /// - Parameters:
  ///   - url: The YAML file.
  ///   - assignments: Such as `federation.rounds=8`, over what the file says.
  /// - Throws: ``ApusError`` `.fileAccess` if it cannot be read, `.invalidConfig` with line and
  ///   field for everything that is wrong in it.
  public init(contentsOf url: URL, assignments: [String] = []) throws(ApusError) {
    try self.init(
      parsing: Self.text(of: url), file: url.lastPathComponent,
      folder: url.deletingLastPathComponent(), assignments: assignments)
  }

  /// The text of an experiment file.
  static func text(of url: URL) throws(ApusError) -> String {
    do { return try String(contentsOf: url, encoding: .utf8) } catch {
      throw ApusError(
        .fileAccess, at: url.path, "the experiment file cannot be read",
        remedy: "Check the path and that it is UTF-8 text", cause: error)
    }
  }

  /// Reads an experiment from text.
  ///
  /// - Parameters:
  ///   - text: YAML.
  ///   - file: Name for errors.
  ///   - folder: Where relative paths start.
  ///   - assignments: Over what the text says.
  /// - Throws: ``ApusError`` `.invalidConfig` with line and field.
  public init(
    parsing text: String, file: String, folder: URL, assignments: [String] = []
  ) throws(ApusError) {
    let top = try ConfigurationNode.parse(text, file: file, assignments: assignments)
    try top.requireKeys(Self.sections)
    var header = Header()
    header = try OptionReader.read(top.keeping(["name", "seed", "folder"]), over: header)
    let method = try Self.method(top["method"])
    name = header.name.isEmpty ? (file as NSString).deletingPathExtension : header.name
    seed = header.seed
    model = try OptionReader.read(top["model"])
    task = try OptionReader.read(top["task"])
    data = try OptionReader.read(top["data"])
    adapter = try Self.adapter(top["adapter"], of: method.entry)
    adapterDefaults = Set(
      ["targets", "modules-to-save"].filter { top["adapter"][$0].node == nil })
    self.method = method.entry
    methodOptions = method.options
    training = try OptionReader.read(top["training"], over: method.entry.localTraining)
    aggregation = try OptionReader.read(top["aggregation"], over: method.entry.aggregation)
    federation = try OptionReader.read(top["federation"])
    devices = try OptionReader.read(top["devices"])
    engine = try OptionReader.read(top["engine"])
    self.folder =
      header.folder.isEmpty ? folder : URL(fileURLWithPath: header.folder, isDirectory: true)
    source = try top.without(["compare"]).serialized(with: ["folder": self.folder.path])
  }

  /// The sections of an experiment file.
  static let sections = [
    "name", "seed", "folder", "model", "task", "data", "adapter", "method", "training",
    "aggregation", "federation", "devices", "engine", "compare",
  ]

  /// The entries above the sections.
  private struct Header: OptionGroup {
    var name = ""
    var seed: UInt64 = 1
    var folder = ""

    func validate() throws(ApusError) {
      let allowed = name.allSatisfy { $0.isLetter || $0.isNumber || "-_.".contains($0) }
      try require(
        allowed && !name.hasPrefix("."), "name", "\"\(name)\" cannot be the name of a folder",
        remedy: "Use letters, digits, \"-\", \"_\" and \".\"")
    }
  }

  private static func method(
    _ node: ConfigurationNode
  ) throws(ApusError) -> (entry: MethodCatalog.Entry, options: any MethodOptions) {
    let place = node.node?.mapping == nil ? node : node["name"]
    guard let id = place.node?.string else {
      throw node.error(
        "the experiment names no method",
        remedy: "Write method: {name: fedit}; \"apus methods\" lists them all")
    }
    let entry: MethodCatalog.Entry
    do throws(ApusError) { entry = try MethodCatalog.entry(id) } catch {
      throw place.error(error.problem, remedy: error.remedy)
    }
    guard node.node?.mapping != nil else { return (entry, entry.defaultOptions) }
    let options = try OptionReader.readErased(node.without(["name"]), over: entry.defaultOptions)
    return (entry, options as? any MethodOptions ?? entry.defaultOptions)
  }

  /// The adapter on a model of this architecture: what the file leaves out is as PEFT chooses it.
  ///
  /// - Parameters:
  ///   - targets: The architecture's customary projections.
  ///   - heads: The paths of the layers beside the backbone, which train as a whole.
  /// - Returns: The configuration with them where the file says nothing.
  func adapter(targets: [String], heads: [String]) -> AdapterConfiguration {
    var resolved = adapter
    if adapterDefaults.contains("targets") { resolved.targets = .names(targets) }
    if adapterDefaults.contains("modules-to-save") { resolved.modulesToSave = heads }
    return resolved
  }

  private static func adapter(
    _ node: ConfigurationNode, of method: MethodCatalog.Entry
  ) throws(ApusError) -> AdapterConfiguration {
    let adapter: AdapterConfiguration = try OptionReader.read(node)
    guard adapter.kind == .lora || method.takesAnyAdapter else {
      let others = MethodCatalog.all.filter(\.takesAnyAdapter).map(\.card.id)
      throw node["kind"].error(
        "\(method.card.name) is made for the factors of lora, not for \(adapter.kind.rawValue)",
        remedy: "Choose kind: lora, or one of the methods \(others.joined(separator: ", "))")
    }
    return adapter
  }
}
