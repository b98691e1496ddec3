import ApusCore
import ApusExperiments
import ApusMethods
import ApusReports
import ArgumentParser

/// `apus methods`: the catalogue, or one card of it.
struct MethodsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "methods", abstract: "List the methods, or show one with its options.")

  @Argument(help: "A method's name; without it, all are listed.")
  var method: String?

  @ArgumentParser.OptionGroup var format: FormatArguments

  func run() throws {
    guard let method else { return format.show(MethodReport.catalogue) }
    format.show(MethodReport.card(of: try MethodCatalog.entry(method)))
  }
}

/// Tables about methods.
enum MethodReport {
  /// One row a method.
  static var catalogue: Table {
    var table = Table([
      .init("method"), .init("family"), .init("models"), .init("addresses"),
      .init("leaves the client", key: "leaves_client"),
      .init("secure aggregation", key: "secure_aggregation"),
      .init("what it does", key: "summary"),
    ])
    for entry in MethodCatalog.all {
      let card = entry.card
      let models = [
        entry.hasGlobalModel ? "global" : nil, entry.hasPersonalModels ? "personal" : nil,
      ]
      table.append([
        .text(card.id), .text(card.family.rawValue),
        .text(models.compactMap(\.self).joined(separator: ", ")),
        .text(card.challenges.isEmpty ? "–" : card.challenges.joined(separator: ", ")),
        .text(card.leavesClient),
        .text(card.allowsSecureAggregation.map { $0 ? "yes" : "no" } ?? "–"),
        .text(card.summary),
      ])
    }
    return table
  }

  /// One row a property or setting of a method.
  static func card(of entry: MethodCatalog.Entry) -> Table {
    var table = Table([.init("what", key: "key"), .init("value")])
    let card = entry.card
    for (key, value) in [
      ("name", card.name), ("family", card.family.rawValue), ("summary", card.summary),
      ("paper", card.paper), ("leaves the client", card.leavesClient),
      ("server sees", card.visibility.rawValue),
      ("secure aggregation", card.allowsSecureAggregation.map { $0 ? "yes" : "no" } ?? "–"),
      ("adapters", entry.takesAnyAdapter ? "every kind" : "lora"), ("file", entry.path),
    ] { table.append([.text(key), .text(value)]) }
    for (key, value) in SettingList.settings(of: entry.defaultOptions, under: "method")
      + SettingList.settings(of: entry.localTraining, under: "training")
    { table.append([.text(key), .text(value)]) }
    return table
  }
}
