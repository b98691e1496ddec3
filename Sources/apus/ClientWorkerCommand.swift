import ApusExperiments
import ApusSimulation
import ArgumentParser
import Foundation

/// `apus client-worker`: the inside of a worker process; started by a run, not by a person.
struct ClientWorkerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "client-worker",
    abstract: "Run clients on requests from standard input (started by apus run).",
    shouldDisplay: false)

  @Argument(help: "The experiment that the run keeps in its folder.")
  var experiment: String

  func run() async throws {
    // A terminal sends Ctrl-C to the run and to its workers; the run decides.
    signal(SIGINT, SIG_IGN)
    let experiment = try Experiment(contentsOf: URL(fileURLWithPath: experiment))
    let assembly = try Assembly(experiment)
    try await ClientWorkerLoop(host: { _ in try assembly.makeHost() })
      .run(input: .standardInput, output: .standardOutput)
  }
}
