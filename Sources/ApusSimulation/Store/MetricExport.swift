public import ApusBase
import Foundation

/// Writes a run's numbers as rows of round, scope, client, metric and value.
public enum MetricExport {
  /// Comma-separated values (RFC 4180) with a head line; an empty field where there is no client.
  public static func csv(_ rows: [MetricRow]) -> String {
    var lines = ["round,scope,client,metric,value"]
    for row in rows {
      let fields = [
        "\(row.round)", row.scope, row.client ?? "", row.metric, "\(row.value)",
      ]
      lines.append(fields.map(quoted).joined(separator: ","))
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// One JSON object on each line; without a value where JSON has no such number, as for NaN.
  ///
  /// - Throws: ``ApusError`` `.invalidData` if a text is not valid Unicode.
  public static func jsonLines(_ rows: [MetricRow]) throws(ApusError) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return try rows.map {
        String(decoding: try encoder.encode(JSONRow($0)), as: UTF8.self) + "\n"
      }.joined()
    } catch {
      throw ApusError(
        .invalidData, at: "metrics", "a row cannot be written as JSON",
        remedy: "Rename the client or the metric", cause: error)
    }
  }

  private struct JSONRow: Encodable {
    let round: Int
    let scope: String
    let client: String?
    let metric: String
    let value: Double?

    init(_ row: MetricRow) {
      round = row.round
      scope = row.scope
      client = row.client
      metric = row.metric
      value = row.value.isFinite ? row.value : nil
    }
  }

  private static func quoted(_ field: String) -> String {
    guard field.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return field }
    return "\"\(field.replacingOccurrences(of: "\"", with: "\"\""))\""
  }
}
