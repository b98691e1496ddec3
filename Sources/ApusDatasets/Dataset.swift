public import ApusBase

/// One row of a data set: a text or a pair of texts, with its class and its owner if it has them.
public struct Example: Hashable, Sendable {
  /// The text, or the first text of a pair.
  public let text: String
  /// The second text of a pair, such as a hypothesis; nil for a single text.
  public let pair: String?
  /// The text that is to follow, for models that write; nil if no column of answers was chosen.
  public let response: String?
  /// The words of the text, where each has a tag; nil if no column of tags was chosen.
  public let words: [String]?
  /// The tag of each word; nil if no column of tags was chosen.
  public let tags: [String]?
  /// Where the response begins in the second text, in Unicode scalars; nil if no column says so.
  public let responseStart: Int?
  /// Class index into ``Dataset/labelNames``; nil if the data set has no labels.
  public let label: Int?
  /// Natural owner of the row, such as a writer or a language; nil if none was chosen.
  public let client: String?
  /// Where the row was read.
  public let source: SourcePlace

  public init(
    text: String, pair: String? = nil, response: String? = nil, words: [String]? = nil,
    tags: [String]? = nil, responseStart: Int? = nil, label: Int? = nil, client: String? = nil,
    source: SourcePlace
  ) {
    self.words = words
    self.tags = tags
    self.responseStart = responseStart
    self.text = text
    self.pair = pair
    self.response = response
    self.label = label
    self.client = client
    self.source = source
  }
}

/// A line of a file, as errors print it: `train.jsonl:17`.
public struct SourcePlace: Hashable, Sendable, CustomStringConvertible {
  /// The file as the user named it.
  public let file: String
  /// Line on which the row begins; the first is 1.
  public let line: Int

  public init(file: String, line: Int) {
    self.file = file
    self.line = line
  }

  public var description: String { "\(file):\(line)" }
}

/// What was left out while reading under ``BadRowPolicy/skip(reports:)``.
public struct SkippedRows: Hashable, Codable, Sendable {
  /// Number of rows left out.
  public var count = 0
  /// The first of their errors, each with file and line.
  public var reports: [String] = []

  public init() {}
}

/// Examples with one common list of classes; a value that never changes.
public struct Dataset: Sendable {
  /// Name for reports, such as the name of the file.
  public let name: String
  /// The rows, in the order of the source; partitions and splits refer to their positions.
  public let examples: [Example]
  /// Name of each class; empty if the examples have no labels.
  public let labelNames: [String]
  /// Rows that the source held but could not be read.
  public let skipped: SkippedRows

  /// Creates a data set and checks that all its labels, or none, are classes of it.
  ///
  /// - Throws: ``ApusError`` `.invalidData`, naming the first example whose label is not an index
  ///   into `labelNames`, or that lacks a label where there are names.
  public init(
    name: String, examples: [Example], labelNames: [String] = [],
    skipped: SkippedRows = SkippedRows()
  ) throws(ApusError) {
    for example in examples {
      let fits =
        labelNames.isEmpty
        ? example.label == nil : labelNames.indices.contains(example.label ?? -1)
      guard fits else {
        throw ApusError(
          .invalidData, at: example.source.description,
          "label \(example.label.map(String.init) ?? "none") is not one of the "
            + "\(labelNames.count) classes of \(name)",
          remedy: "Give every example an index into the class names, or none a label")
      }
    }
    self.init(checked: examples, name: name, labelNames: labelNames, skipped: skipped)
  }

  private init(checked: [Example], name: String, labelNames: [String], skipped: SkippedRows) {
    self.name = name
    self.examples = checked
    self.labelNames = labelNames
    self.skipped = skipped
  }

  /// Number of examples.
  public var count: Int { examples.count }

  /// The examples at `positions`, in that order, as a data set with the same classes.
  ///
  /// - Precondition: every position lies in 0..<``count``.
  public func subset(_ positions: [Int], name: String? = nil) -> Dataset {
    Dataset(
      checked: positions.map { examples[$0] }, name: name ?? self.name, labelNames: labelNames,
      skipped: SkippedRows())
  }

  /// The class of every example.
  ///
  /// - Throws: ``ApusError`` `.invalidData` if the data set has no labels.
  public func labels() throws(ApusError) -> [Int] {
    guard !labelNames.isEmpty else {
      throw ApusError(
        .invalidData, at: name,
        "the examples have no labels, which this partition or measure needs",
        remedy: "Choose a label column, or a partition that ignores labels such as iid")
    }
    return examples.map { $0.label ?? 0 }
  }

  /// Positions of the examples of each class, in increasing order.
  ///
  /// - Returns: One list per class of ``labelNames``; a class without examples has an empty one.
  /// - Throws: ``ApusError`` `.invalidData` if the data set has no labels.
  func positionsByClass() throws(ApusError) -> [[Int]] {
    var positions = Array(repeating: [Int](), count: labelNames.count)
    for (position, label) in try labels().enumerated() { positions[label].append(position) }
    return positions
  }
}
