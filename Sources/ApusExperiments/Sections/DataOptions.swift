public import ApusBase
public import ApusDatasets
import ApusTraining

/// Section `data`: rows, splits and who holds what.
public struct DataOptions: OptionGroup, Equatable {
  /// Where rows come from.
  public enum Source: String, Codable, Sendable, CaseIterable {
    /// One JSON object a line.
    case jsonl
    /// Comma-separated values with a header.
    case csv
    /// Tab-separated values with a header.
    case tsv
    /// The package catalogue of a Debian machine.
    case debianPackages = "debian-packages"
  }

  /// What to do with a row that cannot be read.
  public enum BadRows: String, Codable, Sendable, CaseIterable {
    /// Stop with its file and line.
    case fail
    /// Leave it out and say so.
    case skip
  }

  /// Where test rows come from if there is no test file.
  public enum TestRows: String, Codable, Sendable, CaseIterable {
    /// A share of all rows, before they are divided.
    case holdOut = "hold-out"
    /// A share of each client's rows, with the client's own skew.
    case perClient = "per-client"
  }

  /// Where rows come from.
  public var source = Source.jsonl
  /// File of the rows, or several with a `*` in their name or that of a folder; not for
  /// `debian-packages`.
  public var train = ""
  /// File of test rows; nothing to hold rows out.
  public var test: String?
  /// Names of the columns or fields.
  public var columns = Columns()
  /// Names of the classes in order, where no file holds rows of all of them; by default those found.
  public var labels: [String] = []
  /// What to do with a bad row.
  public var badRows = BadRows.fail
  /// Rows to keep, drawn by the seed, and divide among clients and test; nothing for all.
  public var maxRows: Int?
  /// Rows of the test file to keep, drawn by the seed; nothing for all.
  public var maxTestRows: Int?
  /// Which packages become whose rows.
  public var debian = Debian()
  /// Who holds what.
  public var partition = PartitionOptions()
  /// Where test rows come from if there is no test file.
  public var testRows = TestRows.holdOut
  /// Their share, in 0..<1.
  public var testShare = 0.2
  /// Share of each client's rows for validation, in 0..<1.
  public var validationShare = 0.0
  /// Rows that the server has too, for methods that train there.
  public var publicRows = PublicRows()

  public init() {}

  /// Rows that belong to no client.
  public struct PublicRows: OptionGroup, Equatable {
    /// File of the rows, or several with `*` in their name; nothing if the server has none.
    public var file: String?
    /// Format of the file.
    public var source = Source.jsonl
    /// Names of its columns or fields.
    public var columns = Columns()
    /// Rows to keep, drawn by the seed; nothing for all.
    public var maxRows: Int?

    public init() {}

    public func validate() throws(ApusError) {
      try require(
        source != .debianPackages, "source", "debian-packages are the clients' own rows",
        remedy: "Choose jsonl, csv or tsv")
      try require(
        maxRows ?? 1 >= 1, "max-rows", "no row is left",
        remedy: "Give a number ≥ 1, or remove this")
    }
  }

  /// Names of columns or fields.
  public struct Columns: OptionGroup, Equatable {
    /// The text, or the first of a pair.
    public var text = "text"
    /// The second text of a pair, or the input of an instruction.
    public var pair: String?
    /// The text that is to follow, for models that write.
    public var response: String?
    /// The tags of the text's words; nothing for "tags" where words are tagged.
    public var tags: String?
    /// Where the response begins in the pair, in Unicode scalars; nothing for its first occurrence.
    public var responseStart: String?
    /// The class, as an index or a name; nothing for "label" where texts are classified.
    public var label: String?
    /// The name of the class where `label` is an index.
    public var labelText: String?
    /// The row's owner, for the natural partition.
    public var client: String?

    public init() {}

    /// The columns that a task reads.
    func selection(for task: TaskKind) -> ColumnSelection {
      let needsClasses = task == .sequenceClassification || task == .maskedLanguageModel
      return ColumnSelection(
        text: text, pair: pair, response: response,
        tags: tags ?? (task == .tokenClassification ? "tags" : nil),
        responseStart: responseStart, label: label ?? (needsClasses ? "label" : nil),
        labelText: labelText, client: client)
    }
  }

  /// Settings of `debian-packages`.
  public struct Debian: OptionGroup, Equatable {
    /// Largest teams that become a client each.
    public var teams = 12
    /// Clients that individual maintainers are spread over.
    public var groups = 8
    /// Rows of a client at most.
    public var rowsPerClient = 200
    /// Rows of a client at least; smaller ones are left out.
    public var minimum = 20

    public init() {}

    var packages: DebianPackages {
      var packages = DebianPackages()
      packages.teams = teams
      packages.groups = groups
      packages.rowsPerClient = rowsPerClient
      packages.minimum = minimum
      return packages
    }
  }

  public func validate() throws(ApusError) {
    try require(
      source == .debianPackages || !train.isEmpty, "train", "there is no file of rows",
      remedy: "Give the path of a \(source.rawValue) file, or source: debian-packages")
    try require(
      source != .debianPackages || train.isEmpty, "train",
      "debian-packages reads the machine's catalogue, not a file",
      remedy: "Remove this setting, or choose another source")
    for (name, count) in [("max-rows", maxRows), ("max-test-rows", maxTestRows)] {
      try require(
        count ?? 1 >= 1, name, "no row is left", remedy: "Give a number ≥ 1, or remove this")
    }
    try require(
      maxTestRows == nil || test != nil, "max-test-rows", "there is no test file",
      remedy: "Name one under test, or set test-share instead")
    for (name, share) in [("test-share", testShare), ("validation-share", validationShare)] {
      try require(
        (0..<1).contains(share), name, "\(share) is no share", remedy: "Give a number in 0..<1")
    }
  }
}

/// Section `data.partition`: which rows go to which client.
public struct PartitionOptions: OptionGroup, Equatable {
  /// The rule.
  public var kind = PartitionSpecification.Kind.natural
  /// Number of clients; not for `natural` and `file`.
  public var clients: Int?
  /// Concentration of a Dirichlet: small is skewed.
  public var concentration: Double?
  /// Exponent of the power law of `quantity`.
  public var exponent: Double?
  /// Rows of a client at least.
  public var minimum: Int?
  /// Shards or classes of each client.
  public var perClient: Int?
  /// JSON file with a list of row indices for each client.
  public var file: String?

  public init() {}

  var specification: PartitionSpecification {
    PartitionSpecification(
      kind, clients: clients, concentration: concentration, exponent: exponent, minimum: minimum,
      perClient: perClient, file: file)
  }
}
