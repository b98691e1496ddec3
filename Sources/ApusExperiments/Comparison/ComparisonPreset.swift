public import ApusBase

/// A comparison that is ready but for data, and a model where a small one must be brought along.
///
/// Each is a setting of papers at a scale for one machine: their kind of data, their skew, their
/// kind of adapter, with fewer rows, rounds and clients. All entries train alike, with AdamW and one
/// budget, and at the learning rates that short searches found; heads train and are averaged unless
/// a method keeps them private.
public struct ComparisonPreset: Sendable, CustomStringConvertible {
  /// Name on the command line.
  public let name: String
  /// What is compared on what, in one line.
  public let summary: String
  /// Whose setting it follows.
  public let papers: String
  /// What the folder of data holds.
  public let files: String
  /// The checkpoint that it trains; nil if one has to be named.
  public let defaultModel: String?
  private let sections: String
  private let entries: [Entry]

  /// A method with what it needs beside the common settings.
  struct Entry {
    let method: String
    var settings: [String] = []
  }

  init(
    name: String, summary: String, papers: String, files: String, defaultModel: String?,
    sections: String, entries: [Entry]
  ) {
    self.name = name
    self.summary = summary
    self.papers = papers
    self.files = files
    self.defaultModel = defaultModel
    self.sections = sections
    self.entries = entries
  }

  public var description: String { name }

  /// Every preset.
  public static let all =
    [agNewsDirichlet, agNewsShards, sst2Dirichlet, sst2Shards, masakhaNEWS, flan, gsm8k]

  /// The preset of this name.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` with a suggestion if there is none.
  public static func named(_ name: String) throws(ApusError) -> ComparisonPreset {
    guard let preset = all.first(where: { $0.name == name }) else {
      throw ApusError(
        .invalidConfig, at: "--preset", "there is no preset \"\(name)\"",
        remedy: Spelling.remedy(for: name, allowed: all.map(\.name)))
    }
    return preset
  }

  /// The preset as an experiment file.
  ///
  /// - Parameter model: The checkpoint; the preset's own if nil.
  /// - Returns: YAML whose paths start at the folder of data.
  /// - Throws: ``ApusError`` `.invalidConfig` if there is no model.
  public func text(model: String? = nil) throws(ApusError) -> String {
    guard let model = model ?? defaultModel else {
      throw ApusError(
        .invalidConfig, at: "preset \(name)", "it trains a language model, and none is named",
        remedy: "Give the folder of a checkpoint with --model")
    }
    let variants = entries.map { entry in
      let settings = ["method.name: \(entry.method)"] + entry.settings
      return "    - {name: \(entry.method), set: {\(settings.joined(separator: ", "))}}\n"
    }
    return "name: \(name)\n"
      + sections.replacing("MODEL", with: YAMLText.quoted(model))
      + "  variants:\n" + variants.joined()
  }
}
