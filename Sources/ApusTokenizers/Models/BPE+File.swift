import ApusBase

extension BPE {
  /// Reads the model of a tokenizer.json.
  init(reading source: ModelSource) throws(ApusError) {
    let node = source.node
    let dropout = node["dropout"]
    if dropout.exists, try dropout.double() != 0 {
      throw ApusError(
        .unsupported, at: dropout.place, "Apus merges without dropout",
        remedy: "Set dropout to null, as it is for a trained model")
    }
    func flag(_ key: String) throws(ApusError) -> Bool {
      node[key].exists ? try node[key].bool() : false
    }
    func text(_ key: String) throws(ApusError) -> String? {
      node[key].exists ? try node[key].string() : nil
    }
    var options = Options()
    options.unknownToken = try text("unk_token")
    options.prefix = try text("continuing_subword_prefix") ?? ""
    options.suffix = try text("end_of_word_suffix") ?? ""
    options.fusesUnknown = try flag("fuse_unk")
    options.fallsBackToBytes = try flag("byte_fallback")
    options.ignoresMerges = try flag("ignore_merges")
    try self.init(
      vocabulary: try source.vocabulary(), merges: try Self.merges(reading: source),
      options: options, at: node.place)
  }

  /// The merges, each `["a", "b"]` or, in older files, `"a b"`.
  private static func merges(
    reading source: ModelSource
  ) throws(ApusError) -> [(left: String, right: String)] {
    let place = source.node["merges"].place
    var merges: [(left: String, right: String)] = []
    for (index, row) in try source.rows(of: "merges").enumerated() {
      if row.count == 2, case .text(let left) = row[0], case .text(let right) = row[1] {
        merges.append((left, right))
      } else if row.count == 1, case .text(let line) = row[0] {
        if line.utf8.starts(with: "#version".utf8) { continue }
        merges.append(try pair(line, at: "\(place)[\(index)]"))
      } else {
        throw ApusError(
          .invalidFile, at: "\(place)[\(index)]", "expected two tokens, found something else",
          remedy: "Restore the file from its source")
      }
    }
    return merges
  }

  /// The two tokens of a line.
  static func pair(_ line: String, at place: String) throws(ApusError) -> (String, String) {
    let parts = line.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false)
    guard parts.count == 2 else {
      throw ApusError(
        .invalidFile, at: place, "expected two tokens and a space between, found \"\(line)\"",
        remedy: "Restore the file from its source")
    }
    return (String(parts[0]), String(parts[1]))
  }
}
