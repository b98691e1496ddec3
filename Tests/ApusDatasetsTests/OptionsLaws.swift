import ApusDatasets
import Foundation
import Testing

@Suite struct OptionsLaws {
  private func decode<Value: Decodable>(_ json: String) throws -> Value {
    try JSONDecoder().decode(Value.self, from: Data(json.utf8))
  }

  @Test func `options that are not given have their defaults`() throws {
    let packages: DebianPackages = try decode(#"{"rows-per-client": 50}"#)
    var expected = DebianPackages()
    expected.rowsPerClient = 50
    #expect(packages == expected)
    let fractions: SplitFractions = try decode(#"{"test": 0.2}"#)
    #expect(fractions == SplitFractions(test: 0.2))
    let columns: ColumnSelection = try decode(#"{"label-text": "topic"}"#)
    #expect(columns == ColumnSelection(labelText: "topic"))
    let partition: PartitionSpecification = try decode(
      #"{"kind": "shards", "clients": 3, "per-client": 4}"#)
    #expect(partition == PartitionSpecification(.shards, clients: 3, perClient: 4))
  }

  @Test func `options survive their JSON`() throws {
    var packages = DebianPackages()
    packages.minimum = 3
    let json = String(decoding: try JSONEncoder().encode(packages), as: UTF8.self)
    #expect(try decode(json) == packages)
    let columns = ColumnSelection(text: "a", pair: "b", label: "c", labelText: "d", client: "e")
    let text = String(decoding: try JSONEncoder().encode(columns), as: UTF8.self)
    #expect(try decode(text) == columns)
  }
}
