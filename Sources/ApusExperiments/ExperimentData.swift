public import ApusBase
public import ApusCore
public import ApusDatasets
import ApusTraining
import Foundation

/// The rows of an experiment and who holds them.
public struct ExperimentData: Sendable {
  /// Rows, partition and splits.
  public let federated: FederatedDataset
  /// What was found odd about the partition, one line each.
  public let findings: [String]

  /// Reads and divides the rows of an experiment; no model is needed.
  ///
  /// - Throws: ``ApusError`` with file and line for bad rows, or with the setting that cannot be
  ///   followed.
  public init(_ experiment: Experiment) throws(ApusError) {
    let options = experiment.data
    let random = RandomStream(seed: experiment.seed).substream("data")
    let columns = options.columns.selection(for: experiment.task.kind)
    let dataset = try Self.read(
      options, columns, path: options.train, in: experiment.folder, random: random,
      labelNames: options.labels.isEmpty ? nil : options.labels
    ).drawn(options.maxRows, random.substream("max-rows"))
    let policy: TestPolicy =
      if let test = options.test {
        .given(
          try Self.read(
            options, columns, path: test, in: experiment.folder, random: random,
            labelNames: dataset.labelNames
          ).drawn(options.maxTestRows, random.substream("max-test-rows")))
      } else if options.testRows == .holdOut {
        .holdOut(fraction: options.testShare)
      } else {
        .perClient(fraction: options.testShare)
      }
    var specification = options.partition.specification
    specification.file = specification.file.map {
      URL(fileURLWithPath: $0, relativeTo: experiment.folder).path
    }
    federated = try Self.divide(
      dataset, specification, policy: policy, validation: options.validationShare, random: random)
    findings =
      federated.partition.verify(against: federated.dataset, declared: specification)
      + [dataset, federated.test].flatMap(Self.skipped)
  }

  /// The clients, in the order of the partition.
  public var clients: [ClientID] {
    federated.clients.enumerated().map { ClientID(index: $0.offset, name: $0.element.name) }
  }

  /// Rows of one client by split, as positions in ``FederatedDataset/dataset``.
  func positions(of client: Int) -> [DataSplit: [Int]] {
    let split = federated.clients[client].split
    return [.train: split.train, .validation: split.validation, .test: split.test]
  }

  /// Rows of all clients by split, in client order.
  var pooledPositions: [DataSplit: [Int]] {
    var pooled: [DataSplit: [Int]] = [:]
    for client in federated.clients.indices {
      pooled.merge(positions(of: client)) { $0 + $1 }
    }
    return pooled
  }

  /// Rows that the server has too, as many as are wanted, drawn by the seed; nil if it has none.
  ///
  /// - Throws: ``ApusError`` with file and line for bad rows.
  static func publicRows(of experiment: Experiment) throws(ApusError) -> Dataset? {
    let options = experiment.data.publicRows
    guard let file = options.file else { return nil }
    var source = experiment.data
    (source.source, source.columns) = (options.source, options.columns)
    let random = RandomStream(seed: experiment.seed).substream("data")
    return try read(
      source, options.columns.selection(for: experiment.task.kind), path: file,
      in: experiment.folder, random: random
    ).drawn(options.maxRows, random.substream("public-rows"))
  }

  private static func divide(
    _ dataset: Dataset, _ specification: PartitionSpecification, policy: TestPolicy,
    validation: Double, random: RandomStream
  ) throws(ApusError) -> FederatedDataset {
    func open(_ partitioner: some Partitioner) throws(ApusError) -> FederatedDataset {
      try FederatedDataset(
        dataset, partitioner: partitioner, testPolicy: policy, validation: validation,
        random: random)
    }
    return try open(try specification.makePartitioner())
  }

  private static func read(
    _ options: DataOptions, _ columns: ColumnSelection, path: String, in folder: URL,
    random: RandomStream, labelNames: [String]? = nil
  ) throws(ApusError) -> Dataset {
    let files = try files(URL(fileURLWithPath: path, relativeTo: folder))
    let badRows: BadRowPolicy = options.badRows == .fail ? .fail : .skip(reports: 3)
    switch options.source {
    case .jsonl:
      return try JSONLines.load(files, columns: columns, labelNames: labelNames, badRows: badRows)
    case .csv, .tsv:
      return try DelimitedTable.load(
        files, format: options.source == .csv ? .csv : .tsv, columns: columns,
        labelNames: labelNames, badRows: badRows)
    case .debianPackages:
      return try options.debian.packages.load(random: random.substream("debian"))
    }
  }

  /// The file, or all whose paths fit one with a star in a name, in the order of their paths.
  private static func files(_ url: URL) throws(ApusError) -> [URL] {
    guard url.path.contains("*") else { return [url] }
    var found = [URL(filePath: "/", directoryHint: .isDirectory)]
    for part in url.standardizedFileURL.pathComponents.dropFirst() {
      let pieces = part.components(separatedBy: "*")
      guard pieces.count > 1 else {
        found = found.map { $0.appending(path: part) }
        continue
      }
      found = found.flatMap { folder in
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.sorted().filter { name in
          pieces.count == 2 && name.hasPrefix(pieces[0]) && name.hasSuffix(pieces[1])
            && name.count >= pieces[0].count + pieces[1].count
        }.map { folder.appending(path: $0) }
      }
    }
    found = found.filter { FileManager.default.fileExists(atPath: $0.path) }
    guard !found.isEmpty else {
      throw ApusError(
        .fileAccess, at: url.path, "no file has such a name",
        remedy: "Write one star in a name, and check the folder")
    }
    return found
  }

  /// What is said of rows that could not be read; nothing if all could.
  static func skipped(_ set: Dataset) -> [String] {
    guard set.skipped.count > 0 else { return [] }
    return [
      "\(set.name): \(set.skipped.count) rows left out, such as "
        + set.skipped.reports.prefix(1).joined()
    ]
  }
}

extension Dataset {
  /// As many rows, drawn without repetition and left in their order; all if there are no more.
  fileprivate func drawn(_ count: Int?, _ random: RandomStream) throws(ApusError) -> Dataset {
    guard let count, count < self.count else { return self }
    var random = random
    return try Dataset(
      name: name,
      examples: random.shuffled(0..<self.count).prefix(count).sorted().map { examples[$0] },
      labelNames: labelNames, skipped: skipped)
  }
}
