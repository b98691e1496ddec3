import ApusBase

/// Picks a part of the pipeline by the field `type` of its description.
enum Component {
  /// The entry of `kinds` that `node` names.
  ///
  /// - Parameters:
  ///   - kinds: Everything supported, by its name in tokenizer.json.
  ///   - role: What the parts are called in errors, such as "normalizer".
  ///   - node: The description of the part.
  /// - Returns: The entry of `kinds`.
  /// - Throws: ``ApusError`` `.unsupported` if the name is not in `kinds`.
  static func choose<Kind>(
    from kinds: [String: Kind], of role: String, reading node: JSONNode
  ) throws(ApusError) -> Kind {
    let name = try node["type"].string()
    guard let kind = kinds[name] else {
      let supported = kinds.keys.sorted().joined(separator: ", ")
      throw ApusError(
        .unsupported, at: node["type"].place, "there is no \(role) \"\(name)\" in Apus",
        remedy: "Use a tokenizer with one of these: \(supported)")
    }
    return kind
  }
}
