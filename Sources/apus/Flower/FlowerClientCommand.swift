import ApusBase
import ApusCore
import ApusExperiments
import ApusFlower
import ArgumentParser
import Foundation

/// `apus flower client`: the clients of this machine, behind its SuperNodes.
struct FlowerClientCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "client",
    abstract: "Work for SuperNodes of this machine, until stopped.",
    discussion: """
      Start each SuperNode with --isolation process and --node-config 'partition-id=0', the number of \
      its client. Apus servers and stock Flower strategies are answered alike. What clients keep \
      between rounds stays in the folder of --states.
      """)

  @ArgumentParser.OptionGroup var arguments: ExperimentArguments
  @ArgumentParser.OptionGroup var flower: FlowerArguments

  @Option(
    parsing: .upToNextOption,
    help: "Runtime API of each SuperNode: its --host and --port.")
  var runtime = ["127.0.0.1:9094"]

  @Option(help: "Folder of what clients keep between rounds.")
  var states = "runs/flower-client-states"

  @Option(help: "All rows of this machine are those of the client of this number.")
  var ownRows: Int?

  @Option(help: "Name of that client, for people.")
  var clientName: String?

  func validate() throws {
    guard ownRows == nil || runtime.count == 1 else {
      throw ValidationError("With --own-rows this process is one client: give one --runtime.")
    }
    guard ownRows ?? 0 >= 0 else { throw ValidationError("--own-rows must be 0 or more.") }
  }

  private var owner: ClientID? {
    ownRows.map { ClientID(index: $0, name: clientName ?? "client \($0)") }
  }

  func run() async throws {
    let owner = owner
    let connections = try runtime.map { try flower.connection($0) }
    let client = FlowerClient(
      states: URL(fileURLWithPath: states),
      site: try FlowerSite(try arguments.assemble(owner: owner)),
      remake: { [arguments] in try FlowerSite(try arguments.assemble($0, owner: owner)) },
      report: FlowerCommand.report)
    do {
      try await Interruption.cancelling { try await client.serve(connections) }
    } catch is CancellationError {
      FlowerCommand.report("stopped")
    }
  }
}
