import ApusBase
import ApusExperiments
import ApusFlower
import ApusReports
import ApusSimulation
import ArgumentParser
import Foundation

/// `apus flower server`: the server's half of an experiment, behind a SuperLink.
struct FlowerServerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "server",
    abstract: "Wait for a run of a SuperLink and do it.",
    discussion: """
      Start the SuperLink with --isolation process, this command, and then \"flwr run\". The run is kept \
      and shown as by \"apus run\"; transport.csv in its folder has what crossed the wire beside what \
      the messages weigh. If it stops, submit it again and give --resume.
      """)

  @ArgumentParser.OptionGroup var arguments: ExperimentArguments
  @ArgumentParser.OptionGroup var place: RunArguments
  @ArgumentParser.OptionGroup var flower: FlowerArguments

  @Option(help: "Runtime API of the SuperLink: its --host and --port.")
  var runtime = "127.0.0.1:8000"

  /// What clients understand, as the command line spells it.
  enum Clients: String, ExpressibleByArgument, CaseIterable {
    case apus
    case arrays

    var dialect: FlowerDialect { self == .apus ? .apus : .arrays }
  }

  @Option(help: "What clients understand: apus (apus flower client) or arrays (any client).")
  var clients = Clients.apus

  @Option(help: "Seconds that a round waits for one client, joining included.")
  var deadline = 3600

  @Option(help: "Number of clients that bring rows of their own (apus flower client --own-rows).")
  var sites: Int?

  func validate() throws {
    guard sites ?? 1 >= 1 else { throw ValidationError("--sites must be 1 or more.") }
    guard sites == nil || clients == .apus else {
      throw ValidationError("--sites needs clients of Apus: leave out --clients arrays.")
    }
    guard deadline >= 1 else { throw ValidationError("--deadline must be 1 or more.") }
  }

  func run() async throws {
    _ = try arguments.load()  // an error in the file should not wait for a run
    let server = FlowerServer(
      try flower.connection(runtime), role: .server, report: FlowerCommand.report)
    let command = self
    try await Interruption.cancelling { try await server.takeRun { try await command.perform($0) } }
  }

  private func perform(_ task: FlowerTask) async throws {
    let assembly = try arguments.assemble(task.assignments)
    let site = try FlowerSite(assembly)
    try await task.withClients(
      of: site, count: sites ?? assembly.clients.count, dialect: clients.dialect,
      deadline: .seconds(deadline)
    ) { runner in
      let known = sites == nil ? assembly : assembly.serving(try await runner.introductions())
      try await place.perform(known) { run, observer in
        let transport = try TransportLog(run.folder, task.traffic, resuming: place.resume)
        try await run.run(on: runner) { event in
          observer(event)
          transport.hear(event)
          if let line = FlowerLogLine.line(of: event) { task.note(line) }
        }
        FlowerCommand.report(transport.summary)
      }
    }
  }
}

/// What is worth a line of `flwr log`.
enum FlowerLogLine {
  static func line(of event: SimulationEvent) -> String? {
    switch event {
    case .roundBegan(let round, let total, let clients):
      "round \(round + 1) of \(total): \(clients) clients"
    case .noticed(let event):
      [event.round.map { "round \($0 + 1)" }, event.client, event.text].compactMap { $0 }
        .joined(separator: ", ")
    case .measured(let rows):
      rows.filter { $0.client == nil }
        .map { "\($0.scope) \($0.metric) \(Quantity.number($0.value, digits: 4))" }.joined(
          separator: ", ")
    case .roundCommitted(let record):
      "round \(record.index + 1): \(record.updates) updates, "
        + "\(Quantity.exactBytes(record.uplinkBytes)) up, "
        + "\(Quantity.exactBytes(record.downlinkBytes)) down"
    case .clientEnded: nil
    }
  }
}
