import ApusSimulation
import Foundation

extension RunSummary {
  /// The result as one JSON object.
  ///
  /// `accuracy` is the task's headline, whose name is `metric`. What crosses is shared by
  /// definition, and counted in `uplinkBytes` and `downlinkBytes`; `personalBytes` are those that a
  /// client keeps and never sends. A number that JSON cannot spell, such as the perplexity of a model
  /// that went astray, is null.
  func json() throws -> String {
    let object: [String: Any] = [
      "event": "result",
      "metric": headline,
      "accuracy": curve(headline).last?.value ?? NSNull(),
      "perplexity": curve("perplexity").last?.value ?? NSNull(),
      "loss": curve("loss").last?.value ?? NSNull(),
      "clients": clients ?? NSNull(),
      "majorityShare": majorityShare ?? NSNull(),
      "aggregationBias": bias ?? NSNull(),
      "parameters": ["shared": parameters.shared, "personal": parameters.personal],
      "clientRanks": byClient("rank/") ?? NSNull(),
      "clientParameters": byClient("parameters/") ?? NSNull(),
      "rounds": rounds.count,
      "uplinkBytes": rounds.reduce(0) { $0 + $1.uplinkBytes },
      "downlinkBytes": rounds.reduce(0) { $0 + $1.downlinkBytes },
      "personalBytes": 4 * parameters.personal,
      "seconds": rounds.reduce(0) { $0 + $1.wallSeconds },
      "adapter": hasGlobalModel ? adapter : NSNull(),
    ]
    let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
    let data = try JSONSerialization.data(
      withJSONObject: Self.spellable(object), options: options)
    return String(decoding: data, as: UTF8.self)
  }

  private static func spellable(_ value: Any) -> Any {
    switch value {
    case let number as Double: number.isFinite ? number : NSNull()
    case let members as [String: Any]: members.mapValues(spellable)
    default: value
    }
  }

  /// The headline over the clients, each with the model that it uses, on its own rows.
  private var clients: [String: Double]? {
    guard let mean = spread("mean"), let worst = spread("worst"),
      let deviation = spread("deviation")
    else { return nil }
    return ["mean": mean, "worst": worst, "deviation": deviation]
  }

  /// What averaging missed in the last round that measured it, over all and by projection.
  private var bias: [String: Any]? {
    guard let relative = metrics.latest("server", "aggregation_bias"),
      let norm = metrics.latest("server", "aggregation_bias_norm")
    else { return nil }
    let norms = metrics.latest("server", prefix: "aggregation_bias_norm/")
    let sites = metrics.latest("server", prefix: "aggregation_bias/").map { site, relative in
      (site, ["relative": relative, "norm": norms[site] ?? 0])
    }
    return [
      "relative": relative, "norm": norm,
      "sites": Dictionary(sites) { first, _ in first },
    ]
  }

  /// What the clients last sent, where their ranks differ.
  private func byClient(_ prefix: String) -> [String: Int]? {
    let values = metrics.latest("server", prefix: prefix).mapValues { Int($0) }
    return values.isEmpty ? nil : values
  }
}
