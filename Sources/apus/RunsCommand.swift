import ApusBase
import ApusCore
import ApusReports
import ApusSimulation
import ApusTraining
import ArgumentParser
import Foundation

/// `apus runs`: what there is in the folder of runs.
struct RunsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runs", abstract: "List the runs, how far they are and what they reached.")

  @Argument(help: "A run's name, to list its rounds.")
  var name: String?

  @Option(help: "Folder of all runs.")
  var runs = "runs"

  @Option(parsing: .upToNextOption, help: "List these runs only.")
  var only: [String] = []

  @ArgumentParser.OptionGroup var format: FormatArguments

  func run() throws {
    let folder = URL(fileURLWithPath: runs)
    if let name { return format.show(try rounds(of: folder.appending(path: name))) }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    var table = Table([
      .init("run"), .init("method"), .init("rounds", .right), .init("accuracy", .right),
      .init("up", key: "uplink_bytes", .right), .init("down", key: "downlink_bytes", .right),
      .init("time", key: "seconds", .right),
    ])
    for name in names.sorted() where only.isEmpty || only.contains(name) {
      let place = folder.appending(path: name)
      guard let archive = try? RunArchive(place) else { continue }
      table.append([.text(name)] + (try row(archive)))
    }
    format.show(table)
  }

  private func row(_ archive: RunArchive) throws -> [Table.Cell] {
    let rounds = try archive.rounds()
    let settings = archive.description.configuration
    let headlines = TaskKind.allCases.map(\.headline)
    let metrics = try archive.metrics()
    let accuracy =
      metrics.last { $0.scope == "global/test" && headlines.contains($0.metric) }
      ?? metrics.last { row in
        row.scope == "clients/test" && headlines.contains { "\($0).mean" == row.metric }
      }
    return [
      .text(settings["method.name"] ?? "–"),
      .text("\(rounds.count) of \(settings["federation.rounds"] ?? "?")"),
      accuracy.map { .percent($0.value) } ?? .missing,
      .bytes(rounds.reduce(0) { $0 + $1.uplinkBytes }),
      .bytes(rounds.reduce(0) { $0 + $1.downlinkBytes }),
      .seconds(rounds.reduce(0) { $0 + $1.wallSeconds }),
    ]
  }

  private func rounds(of folder: URL) throws -> Table {
    let archive = try RunArchive(folder)
    let metrics = try archive.metrics()
    var table = Table([
      .init("round", .right), .init("updates", .right), .init("accuracy", .right),
      .init("loss", .right), .init("up", key: "uplink_bytes", .right),
      .init("down", key: "downlink_bytes", .right), .init("time", key: "seconds", .right),
    ])
    for round in try archive.rounds() {
      func value(_ metric: String) -> Double? {
        metrics.first {
          $0.round == round.index && $0.scope == "global/test" && $0.metric == metric
        }?.value
      }
      table.append([
        .count(round.index + 1), .text("\(round.updates) of \(round.clients.count)"),
        TaskKind.allCases.lazy.compactMap { value($0.headline) }.first.map { .percent($0) }
          ?? .missing,
        value("loss").map { .number($0) } ?? .missing, .bytes(round.uplinkBytes),
        .bytes(round.downlinkBytes), .seconds(round.wallSeconds),
      ])
    }
    return table
  }
}
