import ApusBase
import ApusCore
import ApusExperiments
import ApusMethods
import ApusReports
import ApusSimulation
import ApusTraining
import ArgumentParser
import Foundation

/// `apus run`: an experiment from its file to an adapter.
struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run an experiment: train, report, write the adapter.",
    discussion: """
      The run is kept in runs/<name>: run.sqlite, checkpoints, the adapter as a Hugging Face PEFT \
      folder, metrics.csv and curves as SVG. Ctrl-C stops at the last committed round; --resume \
      goes on from there, to the same bits.
      """)

  @ArgumentParser.OptionGroup var arguments: ExperimentArguments
  @ArgumentParser.OptionGroup var place: RunArguments

  func run() async throws {
    let assembly = try Assembly(try arguments.load())
    let place = place
    try await Interruption.cancelling {
      try await place.perform(assembly) { try await $0.run(observer: $1) }
    }
  }
}

/// Where a run is kept, and how much of it is shown.
struct RunArguments: ParsableArguments {
  @Flag(help: "Go on with the run where it was left.")
  var resume = false

  @Option(help: "Folder of all runs.")
  var runs = "runs"

  @Option(help: "Name of the run, instead of the experiment's.")
  var name: String?

  @Flag(name: .shortAndLong, help: "No progress, no curves; errors only.")
  var quiet = false

  @Flag(help: "Progress as one JSON object a line, and the result as the last.")
  var json = false

  /// Opens the run, shows its progress while `train` runs it, and what came of it.
  ///
  /// - Parameters:
  ///   - assembly: The experiment, loaded.
  ///   - train: Runs it.
  /// - Throws: ``ApusError`` for a folder that does not fit, and what `train` throws.
  func perform(
    _ assembly: Assembly,
    _ train: @escaping @Sendable (ExperimentRun, @escaping SimulationObserver) async throws -> Void
  ) async throws {
    let experiment = assembly.experiment
    let folder = URL(fileURLWithPath: runs).appending(path: name ?? experiment.name)
    let display = ProgressDisplay.standard(quiet ? .quiet : json ? .json : nil)
    defer { display.close() }
    let run = try ExperimentRun(assembly, folder: folder, resuming: resume)
    for finding in run.findings { display.report(.notice(finding)) }
    display.report(
      .runStarted(
        title: "\(experiment.method.card.name) · \(assembly.clients.count) clients",
        rounds: experiment.federation.rounds))
    do {
      try await train(run) { event in
        for event in RunProgress.events(of: event) { display.report(event) }
      }
    } catch {
      display.close()
      throw error
    }
    display.report(.runFinished)
    display.close()
    let summary = try RunSummary(run)
    try summary.writeCurves()
    guard !quiet else { return }
    let result = try json ? summary.json() + "\n" : summary.text(on: .current(.output))
    StandardStream.output.write(result)
  }
}

/// Turns what a simulation tells into what a person sees.
enum RunProgress {
  static func events(of event: SimulationEvent) -> [ProgressEvent] {
    switch event {
    case .roundBegan(let round, _, let clients):
      [.roundStarted(round: round + 1, cohortSize: clients)]
    case .clientEnded(let round, let record):
      [.clientFinished(round: round + 1, client: record.client.name, loss: record.loss)]
    case .noticed(let event):
      [.notice(notice(event))]
    case .measured(let rows):
      measured(rows)
    case .roundCommitted(let record):
      [
        .roundFinished(
          round: record.index + 1, seconds: record.wallSeconds, uplinkBytes: record.uplinkBytes,
          downlinkBytes: record.downlinkBytes)
      ]
    }
  }

  /// Round, client and what happened, in one line.
  private static func notice(_ event: RunEvent) -> String {
    let place = [event.round.map { "round \($0 + 1)" }, event.client].compactMap { $0 }
    return (place + ["\(event.kind.rawValue): \(event.text)"]).joined(separator: ", ")
  }

  private static func measured(_ rows: [MetricRow]) -> [ProgressEvent] {
    func value(_ scope: String, _ metric: String) -> Double? {
      rows.first { $0.scope == scope && $0.metric == metric }?.value
    }
    guard let round = rows.first?.round else { return [] }
    let accuracy = TaskKind.allCases.lazy.map(\.headline).compactMap {
      value("global/test", $0) ?? value("clients/test", "\($0).mean")
    }.first
    let loss = value("global/test", "loss") ?? value("clients/test", "loss.mean")
    return [.evaluation(round: round + 1, accuracy: accuracy, loss: loss)]
  }
}
