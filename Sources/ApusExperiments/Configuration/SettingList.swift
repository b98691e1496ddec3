public import ApusBase

/// The settings of a group as a flat list, for help and for a run's record.
public enum SettingList {
  /// Dotted names as a file writes them, and values.
  ///
  /// - Parameters:
  ///   - group: A group of settings; groups inside it are walked too.
  ///   - section: Put in front of the names.
  /// - Returns: In the order of declaration; a setting without a value reads "–".
  public static func settings(
    of group: any OptionGroup, under section: String
  ) -> [(name: String, value: String)] {
    var list: [(String, String)] = []
    for child in Mirror(reflecting: group).children {
      guard let label = child.label else { continue }
      let name = "\(section).\(Spelling.kebab(label))"
      if let nested = child.value as? any OptionGroup {
        list += settings(of: nested, under: name)
      } else {
        list.append((name, text(child.value)))
      }
    }
    return list
  }

  private static func text(_ value: Any) -> String {
    let mirror = Mirror(reflecting: value)
    if mirror.displayStyle == .optional {
      return mirror.children.first.map { text($0.value) } ?? "–"
    }
    if let choice = value as? any RawRepresentable { return "\(choice.rawValue)" }
    if let text = value as? String, text.isEmpty { return "–" }
    return "\(value)"
  }
}
