import ApusCore
import ApusMethods
import Foundation
import Testing

/// Methods whose servers need Σ wₖ·updateₖ alone, and the report that needs more.
@Suite struct BiasReportLaws {
  /// A federation of a method with its defaults, or without the report of its bias.
  private func federation(
    _ method: MethodCatalog.Entry, reportsBias: Bool
  ) async throws -> ToyFederation {
    let options = try withoutReport(method.defaultOptions)
    let federation = try ToyFederation(
      method.make(reportsBias ? method.defaultOptions : options))
    try await federation.run(0..<6)
    return federation
  }

  private func withoutReport<Options: MethodOptions>(_ options: Options) throws -> Options {
    let data = try JSONEncoder().encode(options)
    var fields = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    if fields["reportsBias"] != nil { fields["reportsBias"] = false }
    return try JSONDecoder().decode(
      Options.self, from: JSONSerialization.data(withJSONObject: fields))
  }

  @Test(arguments: MethodCatalog.all.filter { $0.card.visibility == .weightedSum })
  func `a server that needs the sum alone can do without a report that needs each update`(
    method: MethodCatalog.Entry
  ) async throws {
    let (silent, plain) = (
      try await federation(method, reportsBias: false),
      try await federation(method, reportsBias: true)
    )
    for metrics in silent.metrics {
      #expect(metrics.keys.allSatisfy { !$0.hasPrefix("aggregation_bias") })
    }
    #expect(try silent.stored() == plain.stored())
  }

  @Test func `by default the methods that have a report make it`() async throws {
    var reporting: [String] = []
    for method in MethodCatalog.all where method.card.visibility == .weightedSum {
      let plain = try await federation(method, reportsBias: true)
      guard plain.metrics.contains(where: { $0["aggregation_bias"] != nil }) else { continue }
      reporting.append(method.card.id)
    }
    #expect(reporting == ["fedit", "ffa-lora", "rolora", "frlora", "slora", "fedbiot"])
  }
}
