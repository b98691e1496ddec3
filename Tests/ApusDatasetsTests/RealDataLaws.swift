import ApusBase
import ApusDatasets
import Foundation
import Testing

@Suite(.enabled(if: hasSharedData, "needs the public data sets beside the package"))
struct RealDataLaws {
  private func load(
    _ paths: [String], _ columns: ColumnSelection, labelNames: [String]? = nil
  ) throws -> Dataset {
    try JSONLines.load(
      paths.map { sharedData.appendingPathComponent($0) }, columns: columns,
      labelNames: labelNames)
  }

  @Test func `AG News is read with its four topics`() throws {
    let columns = ColumnSelection(label: "label", labelText: "label_text")
    let train = try load(["ag_news/train.jsonl"], columns)
    #expect(train.count == 6_600)
    #expect(train.labelNames == ["World", "Sports", "Business", "Sci/Tech"])
    let test = try load(["ag_news/test.jsonl"], columns, labelNames: train.labelNames)
    #expect(test.count == 1_000)
    #expect(test.labelNames == train.labelNames)
  }

  @Test func `a stored partition of AG News is what it says`() throws {
    let file = sharedData.appendingPathComponent("../peers/partition.json").standardizedFileURL
    try #require(FileManager.default.fileExists(atPath: file.path))
    let train = try load(["ag_news/train.jsonl"], ColumnSelection(label: "label"))
    let partition = try PartitionFile(file).partition(train, random: RandomStream(seed: 1))
    #expect(partition.clients.count == 40)
    #expect(partition.remainder.isEmpty)
    let declared = PartitionSpecification(
      .dirichletByClass, clients: 40, concentration: 0.5, minimum: 8)
    // It was drawn without the official cap on full clients, so only its sizes may differ.
    let findings = partition.verify(against: train, declared: declared)
    #expect(findings.allSatisfy { $0.contains("Gini") }, "\(findings)")
  }

  @Test func `SST-2 is read whole and splits evenly`() throws {
    let columns = ColumnSelection(label: "label", labelText: "label_text")
    let data = try load(["train", "dev", "test"].map { "sst2/\($0).jsonl" }, columns)
    #expect(data.count == 6_920 + 872 + 1_821)
    #expect(data.labelNames == ["negative", "positive"])
    let split = try data.split(fractions: SplitFractions(test: 0.1), random: RandomStream(seed: 1))
    #expect(split.test.count == 961)
  }

  @Test func `MasakhaNEWS has a client for each language`() throws {
    let languages = ["amh", "eng", "fra", "hau", "ibo", "lin", "lug", "orm", "run", "tir"]
    let data = try load(
      languages.map { "masakhanews/\($0)/test.jsonl" },
      ColumnSelection(pair: "body", labelText: "label_text", client: "language"))
    let partition = try NaturalPartitioner().partition(data, random: RandomStream(seed: 1))
    #expect(partition.clients.map(\.name) == languages)
    let report = try HeterogeneityReport(partition, of: data)
    #expect(report.meanTotalVariation > 0.1)
    #expect(report.labelNames.contains("politics"))
  }

  @Test func `the same rows in CSV give the same examples`() throws {
    let data = try load(["sst2/dev.jsonl"], ColumnSelection(label: "label"))
    let rows = data.examples.map { example in
      "\"\(example.text.replacingOccurrences(of: "\"", with: "\"\""))\",\(example.label ?? 0)"
    }
    try withFile("dev.csv", ("text,label\n" + rows.joined(separator: "\n")).utf8) { url in
      let table = try DelimitedTable.load(
        [url], format: .csv, columns: ColumnSelection(label: "label"))
      #expect(table.examples.map(\.text) == data.examples.map(\.text))
      #expect(table.examples.map(\.label) == data.examples.map(\.label))
    }
  }
}
