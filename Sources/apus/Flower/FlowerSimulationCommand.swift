import ApusBase
import ApusExperiments
import ApusFlower
import ApusMethods
import ApusReports
import ApusSimulation
import ArgumentParser
import Foundation

/// `apus flower simulation`: whole federations in this process, started by `flwr run`.
struct FlowerSimulationCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulation",
    abstract: "Wait for a run of a SuperLink in simulation mode and do it in this process.",
    discussion: """
      Start the SuperLink with --simulation --isolation process, this command, and then \"flwr run\". The \
      federation's num-supernodes must be the number of the experiment's clients; where the experiment \
      divides rows among data.partition.clients, it sets that number.
      """)

  @ArgumentParser.OptionGroup var arguments: ExperimentArguments
  @ArgumentParser.OptionGroup var place: RunArguments
  @ArgumentParser.OptionGroup var flower: FlowerArguments

  @Option(help: "Runtime API of the SuperLink: its --host and --port.")
  var runtime = "127.0.0.1:8000"

  func run() async throws {
    _ = try arguments.load()  // an error in the file should not wait for a run
    let server = FlowerServer(
      try flower.connection(runtime), role: .simulation, report: FlowerCommand.report)
    let (arguments, place) = (arguments, place)
    try await Interruption.cancelling {
      try await server.takeRun { task in
        let assembly = try Self.assemble(arguments, task)
        try await place.perform(assembly) { run, observer in
          _ = try await run.run { event in
            observer(event)
            if let line = FlowerLogLine.line(of: event) { task.note(line) }
          }
        }
      }
    }
  }

  /// The experiment with as many clients as the run simulates.
  private static func assemble(
    _ arguments: ExperimentArguments, _ task: FlowerTask
  ) throws -> Assembly {
    var all = arguments
    all.assignments += task.assignments
    let experiment = try all.load()
    if let nodes = task.simulatedNodes, experiment.data.partition.clients != nil {
      all.assignments.append("data.partition.clients=\(nodes)")
    }
    let assembly = try Assembly(try all.load())
    if let nodes = task.simulatedNodes, !experiment.method.poolsData,
      nodes != assembly.clients.count
    {
      throw ApusError(
        .invalidConfig, at: "num-supernodes",
        "the run simulates \(nodes), the experiment has \(assembly.clients.count) clients",
        remedy: "Give flwr run --federation-config \"num-supernodes=\(assembly.clients.count)\"")
    }
    return assembly
  }
}
