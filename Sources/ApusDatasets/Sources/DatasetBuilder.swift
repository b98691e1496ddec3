import ApusBase

/// Turns rows into a data set: keeps count of bad ones and gives the classes their indices.
///
/// If all labels are whole numbers they are class indices, otherwise names whose sorted order
/// gives the indices. A list of known names, as when a test file follows its training file,
/// replaces both: then every label must be one of the names or an index into them.
struct DatasetBuilder {
  /// A class index must be smaller; a larger number is an identifier in the wrong column.
  static let mostClasses = 65_536

  private let name: String
  private let policy: BadRowPolicy
  private let knownNames: [String]?
  private let knownIndices: [String: Int]
  private var rows: [RawRow] = []
  private var skipped = SkippedRows()
  private var firstLabelIsIndex: Bool?
  private var nameOfIndex: [Int: String] = [:]

  init(name: String, policy: BadRowPolicy, knownNames: [String]?) {
    self.name = name
    self.policy = policy
    self.knownNames = knownNames
    knownIndices = Dictionary(
      (knownNames ?? []).enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Adds what `read` returns, or treats its error as the policy says.
  mutating func add(_ read: () throws(ApusError) -> RawRow) throws(ApusError) {
    do throws(ApusError) {
      let row = try read()
      guard !row.text.allSatisfy(\.isWhitespace) else {
        throw row.source.badRow("the text is empty")
      }
      guard row.response.map({ !$0.allSatisfy(\.isWhitespace) }) ?? true else {
        throw row.source.badRow("the response is empty")
      }
      guard row.words?.count == row.tags?.count else {
        throw row.source.badRow(
          "there are \(row.words?.count ?? 0) words and \(row.tags?.count ?? 0) tags")
      }
      try checkLabel(of: row)
      rows.append(row)
    } catch {
      try reject(error)
    }
  }

  /// Counts a bad row, or throws its error if the policy is to fail.
  mutating func reject(_ error: ApusError) throws(ApusError) {
    guard case .skip(let reports) = policy else { throw error }
    skipped.count += 1
    if skipped.reports.count < reports { skipped.reports.append(error.description) }
  }

  /// The data set of all rows added.
  ///
  /// - Throws: ``ApusError`` `.invalidData` if there are none.
  func finish() throws(ApusError) -> Dataset {
    guard !rows.isEmpty else {
      let readable = skipped.count == 0 ? "rows" : "readable rows"
      let first = skipped.reports.first.map { " (first: \($0))" } ?? ""
      throw ApusError(
        .invalidData, at: name, "the source holds no \(readable)\(first)",
        remedy: "Check that this is the file you meant and how its columns are called")
    }
    let (labels, labelNames) = classes()
    var examples: [Example] = []
    examples.reserveCapacity(rows.count)
    for (row, label) in zip(rows, labels) {
      examples.append(
        Example(
          text: row.text, pair: row.pair, response: row.response, words: row.words,
          tags: row.tags, responseStart: row.responseStart, label: label, client: row.client,
          source: row.source))
    }
    return try Dataset(name: name, examples: examples, labelNames: labelNames, skipped: skipped)
  }

  private mutating func checkLabel(of row: RawRow) throws(ApusError) {
    guard let label = row.label else { return }
    let index: Int?
    switch label {
    case .index(let number): index = number
    case .text(let text):
      // A negative number marks unlabelled rows; as a name it would be a class of its own.
      index = Int(text).flatMap { $0 < 0 ? $0 : Self.classIndex(text) }
    }
    if let index, !(0..<Self.mostClasses).contains(index) {
      throw row.source.badRow(
        "class index \(index) is not in 0..<\(Self.mostClasses)",
        remedy: "Number the classes from 0, leave out unlabelled rows, or choose another column")
    }
    try checkKnown(label, index: index, at: row.source)
    let isIndex = if case .index = label { true } else { false }
    guard isIndex == firstLabelIsIndex ?? isIndex else {
      throw row.source.badRow(
        "this label is a \(isIndex ? "number" : "string"), but those before were "
          + (isIndex ? "strings" : "numbers"))
    }
    if let index, let text = row.labelText {
      guard nameOfIndex[index, default: text] == text else {
        throw row.source.badRow(
          "class \(index) is called \"\(text)\" here, but \"\(nameOfIndex[index] ?? "")\" before")
      }
      nameOfIndex[index] = text
    }
    firstLabelIsIndex = isIndex
  }

  private func checkKnown(
    _ label: RawRow.Label, index: Int?, at source: SourcePlace
  ) throws(ApusError) {
    guard let knownNames else { return }
    if case .text(let text) = label, knownIndices[text] != nil { return }
    if let index, knownNames.indices.contains(index) { return }
    let text = if case .text(let text) = label { text } else { String(index ?? -1) }
    throw source.badRow(
      "label \"\(text)\" is not one of the \(knownNames.count) known classes",
      remedy: Spelling.remedy(for: text, allowed: knownNames))
  }

  /// The class of every row, and the names of the classes.
  private func classes() -> (labels: [Int?], names: [String]) {
    guard firstLabelIsIndex != nil else { return (rows.map { _ in nil }, []) }
    let indices = rows.map { row -> Int? in
      switch row.label {
      case .index(let number): number
      case .text(let text): Self.classIndex(text)
      case nil: nil
      }
    }
    if let knownNames {
      let labels = zip(rows, indices).map { row, index -> Int? in
        if case .text(let text) = row.label, let known = knownIndices[text] { return known }
        return index
      }
      return (labels, knownNames)
    }
    if indices.allSatisfy({ $0 != nil }) {
      let count = (indices.compactMap(\.self).max() ?? 0) + 1
      return (indices, (0..<count).map { nameOfIndex[$0] ?? String($0) })
    }
    let texts = rows.map { row in if case .text(let text) = row.label { text } else { "" } }
    let names = Set(texts).sorted()
    let indexOfName = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })
    return (texts.map { indexOfName[$0] }, names)
  }

  /// The class index that a text spells without leading zeros or signs.
  private static func classIndex(_ text: String) -> Int? {
    guard let index = Int(text), (0..<mostClasses).contains(index), String(index) == text else {
      return nil
    }
    return index
  }
}
