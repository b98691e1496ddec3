import ApusBase
import Foundation
import Yams

/// A value of an experiment file that knows where it stands and its path.
///
/// Keys are found in either spelling, `local-epochs` or `local_epochs`.
struct ConfigurationNode {
  /// The value; nil if the file does not have it.
  let node: Node?
  /// Name of the file, for errors.
  let file: String
  /// Dotted path from the top, such as `training.optimizer.kind`, with the keys as written.
  let path: String
  /// Where the value was written: `run.yaml:12`, or `--set seed=3`.
  private let origin: String
  /// The assignments of the command line by the paths that they set, in kebab case.
  private let assigned: [String: String]

  /// The top of a tree without assignments.
  private init(top: Node, file: String, assigned: [String: String]) {
    self.init(node: top, file: file, path: "", origin: file, assigned: assigned)
  }

  private init(
    node: Node?, file: String, path: String, origin: String, assigned: [String: String]
  ) {
    self.node = node
    self.file = file
    self.path = path
    self.origin = origin
    self.assigned = assigned
  }

  /// Parses a file and applies assignments from the command line.
  ///
  /// - Parameters:
  ///   - text: YAML.
  ///   - file: Name of the file, for errors.
  ///   - assignments: Such as `training.learning-rate=1e-3`; later ones win.
  /// - Returns: The top of the tree.
  /// - Throws: ``ApusError`` `.invalidConfig` with the line where parsing stopped.
  static func parse(
    _ text: String, file: String, assignments: [String] = []
  ) throws(ApusError) -> ConfigurationNode {
    var top: Node
    do {
      top = try compose(yaml: text) ?? Node([(Node, Node)]())
    } catch {
      throw ApusError(
        .invalidConfig, at: file, "this is not valid YAML (\(oneLine(error)))",
        remedy: "Correct the syntax at that place", cause: error)
    }
    guard top.mapping != nil else {
      throw ApusError(
        .invalidConfig, at: file, "expected sections such as \"model:\" at the top",
        remedy: "Start from an example in Examples/")
    }
    var assigned: [String: String] = [:]
    for assignment in assignments { try apply(assignment, to: &top, &assigned) }
    return ConfigurationNode(top: top, file: file, assigned: assigned)
  }

  /// The value of a key, or an absent node.
  subscript(key: String) -> ConfigurationNode {
    guard let mapping = node?.mapping, let found = Self.key(key, of: mapping) else {
      return below(key, nil, line: nil)
    }
    return below(found.scalar?.string ?? key, mapping[found], line: found.mark?.line)
  }

  /// An element of a list, or an absent node.
  subscript(index: Int) -> ConfigurationNode {
    let element = node?.sequence.flatMap { $0.indices.contains(index) ? $0[index] : nil }
    return ConfigurationNode(
      node: element, file: file, path: "\(path)[\(index)]",
      origin: origin(atLine: element?.mark?.line), assigned: assigned)
  }

  /// The keys in the order of the file.
  var keys: [String] { node?.mapping?.keys.compactMap(\.scalar?.string) ?? [] }

  /// The same section without these keys.
  func without(_ keys: [String]) -> ConfigurationNode { filtered { !keys.contains($0) } }

  /// The same section with these keys only.
  func keeping(_ keys: [String]) -> ConfigurationNode { filtered { keys.contains($0) } }

  /// The tree as YAML, with these values at its top in place of what was there.
  func serialized(with values: [String: String]) throws(ApusError) -> String {
    var top = node ?? Node([(Node, Node)]())
    for (key, value) in values.sorted(by: { $0.key < $1.key }) {
      Self.assign(Node(value, .implicit, .doubleQuoted), to: [key], in: &top)
    }
    do { return try Yams.serialize(node: top, width: -1, allowUnicode: true) } catch {
      throw ApusError(
        .invalidConfig, at: file, "the experiment cannot be written as YAML",
        remedy: "Remove unusual characters from it", cause: error)
    }
  }

  /// Refuses keys that are not allowed here, with a suggestion.
  func requireKeys(_ allowed: [String]) throws(ApusError) {
    for key in keys where !allowed.contains(key) {
      throw self[key].error(
        "there is no section \"\(key)\"", remedy: Spelling.remedy(for: key, allowed: allowed))
    }
  }

  private func filtered(_ isIncluded: (String) -> Bool) -> ConfigurationNode {
    guard let mapping = node?.mapping else { return self }
    let pairs = mapping.filter { isIncluded($0.key.scalar?.string ?? "") }
      .map { ($0.key, $0.value) }
    return ConfigurationNode(
      node: .mapping(Node.Mapping(pairs, .implicit, .any, mapping.mark)), file: file, path: path,
      origin: origin, assigned: assigned)
  }

  /// The members of a section in the order of the file.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` if a key is a list or a section.
  func members() throws(ApusError) -> [(key: String, value: ConfigurationNode)] {
    var members: [(String, ConfigurationNode)] = []
    for (key, value) in node?.mapping ?? Node.Mapping([]) {
      guard let name = key.scalar?.string else {
        throw ApusError(
          .invalidConfig, at: path.isEmpty ? origin(atLine: key.mark?.line) : place,
          "a list or section stands where a name should be", remedy: "Write it as name: value")
      }
      members.append((name, below(name, value, line: key.mark?.line)))
    }
    return members
  }

  /// Where a user looks: file and line, or assignment, and the path.
  var place: String { path.isEmpty ? origin : "\(origin), \(path)" }

  /// An error about this value.
  func error(_ problem: String, remedy: String) -> ApusError {
    ApusError(.invalidConfig, at: place, problem, remedy: remedy)
  }

  /// The member `key`, whose name stands in this line.
  private func below(_ key: String, _ value: Node?, line: Int?) -> ConfigurationNode {
    let path = path.isEmpty ? key : "\(path).\(key)"
    let own = Spelling.kebab(path)
    // A section without a line is there because something in it was assigned.
    let isMade = value != nil && line == nil
    let setter = isMade ? assigned.keys.filter { $0.hasPrefix("\(own).") }.min() : nil
    let assignment = assigned[setter ?? own].map { "--set \($0)" }
    return ConfigurationNode(
      node: value, file: file, path: path, origin: assignment ?? origin(atLine: line),
      assigned: assigned)
  }

  /// A line of the file; what is below an assigned value comes from the assignment.
  private func origin(atLine line: Int?) -> String {
    guard let line, !origin.hasPrefix("--set ") else { return origin }
    return "\(file):\(line)"
  }

  /// The key of this name, or else of this name in another spelling.
  private static func key(_ name: String, of mapping: Node.Mapping) -> Node? {
    // Not through the subscript of Yams, for which the key "5" and the text "5" differ.
    mapping.keys.first { $0.scalar?.string == name }
      ?? mapping.keys.first { key in
        key.scalar.map { Spelling.kebab($0.string) == Spelling.kebab(name) } ?? false
      }
  }

  private static func apply(
    _ assignment: String, to top: inout Node, _ assigned: inout [String: String]
  ) throws(ApusError) {
    let parts = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let keys = parts[0].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, keys.allSatisfy({ !$0.isEmpty }) else {
      throw ApusError(
        .invalidConfig, at: "--set \(assignment)", "expected key=value",
        remedy: "Write it as --set training.learning-rate=1e-3")
    }
    do {
      let value = try compose(yaml: String(parts[1])) ?? Node("", .implicit, .plain)
      assign(value, to: keys[...], in: &top)
    } catch {
      throw ApusError(
        .invalidConfig, at: "--set \(assignment)", "the value is not valid YAML",
        remedy: "Put it in quotes", cause: error)
    }
    let path = Spelling.kebab(String(parts[0]))
    assigned = assigned.filter { !$0.key.hasPrefix("\(path).") }
    assigned[path] = assignment
  }

  private static func assign(_ value: Node, to keys: ArraySlice<String>, in node: inout Node) {
    guard let name = keys.first else {
      node = value
      return
    }
    var mapping = node.mapping ?? Node.Mapping([])
    let key = key(name, of: mapping) ?? Node(name)
    var child = mapping[key] ?? Node([(Node, Node)]())
    assign(value, to: keys.dropFirst(), in: &child)
    mapping[key] = child
    node = .mapping(mapping)
  }

  private static func oneLine(_ error: any Error) -> String {
    let lines = "\(error)".split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    return lines.filter { !$0.isEmpty && $0 != "^" }.joined(separator: " ")
  }
}
