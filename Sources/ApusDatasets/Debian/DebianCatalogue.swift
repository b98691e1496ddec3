import ApusBase

/// The packages of a catalogue that have a topic, a description and a maintainer.
///
/// The first version of a package and the first of like descriptions stand for all, where what
/// stands in parentheses makes no difference: "(common files)", "(cross compiler for arm64)".
/// Otherwise nearly the same text would be trained on and tested. For the same reason cross tools,
/// which come once per processor, are left out, as are transitional packages and debug symbols.
struct DebianCatalogue {
  /// Reports of unreadable stanzas that are kept.
  private static let mostReports = 5

  /// One package.
  struct Package {
    /// The one-line description.
    let summary: String
    /// Class index into ``DebianTopics/names``.
    let topic: Int
    let maintainer: DebianMaintainer
    /// Where its stanza begins.
    let source: SourcePlace
  }

  /// The packages in the order of the catalogue.
  private(set) var packages: [Package] = []
  /// Stanzas that cannot be read, or that have a topic but lack another field.
  private(set) var skipped = SkippedRows()

  /// Reads all stanzas, holding one at a time.
  ///
  /// - Throws: ``ApusError`` `.fileAccess` if reading fails.
  init(_ reader: DebianStanzaReader) throws(ApusError) {
    var reader = reader
    var names: Set<String> = []
    var summaries: Set<String> = []
    while let stanza = try reader.next() {
      if let fault = stanza.fault {
        skip(fault)
        continue
      }
      guard let section = stanza.fields["Section"],
        let topic = DebianTopics.index(ofSection: section)
      else { continue }
      guard let name = stanza.fields["Package"], let maintainer = stanza.fields["Maintainer"],
        let summary = stanza.summary, !summary.isEmpty
      else {
        skip(stanza.source.badRow("the package lacks a name, a maintainer or a description"))
        continue
      }
      guard names.insert(name).inserted, !Self.isFiller(name, summary),
        summaries.insert(Self.gist(summary)).inserted
      else { continue }
      packages.append(
        Package(
          summary: summary, topic: topic, maintainer: DebianMaintainer(maintainer),
          source: stanza.source))
    }
  }

  private mutating func skip(_ fault: ApusError) {
    skipped.count += 1
    if skipped.reports.count < Self.mostReports { skipped.reports.append(fault.description) }
  }

  /// A description in lower case, without what stands in parentheses.
  private static func gist(_ summary: String) -> String {
    var depth = 0
    let outside = summary.lowercased().filter { character in
      if character == "(" { depth += 1 }
      defer { if character == ")" { depth = max(0, depth - 1) } }
      return depth == 0
    }
    return outside.split(separator: " ").joined(separator: " ")
  }

  /// Whether a package holds nothing of its own, debug symbols, or a tool that runs here for
  /// another processor.
  private static func isFiller(_ name: String, _ summary: String) -> Bool {
    if name.hasSuffix("-dbg") || name.hasSuffix("-dbgsym") { return true }
    if name.contains("-linux-gnu") { return true }
    let summary = summary.lowercased()
    return ["transitional", "dummy", "debug symbols", "debugging symbols"].contains {
      summary.contains($0)
    }
  }
}
