import ApusBase
import ApusCore
import ApusExperiments
import ApusFlower
import ApusMethods
import ApusReports
import ApusSimulation
import ArgumentParser
import Foundation

/// `apus flower`: the same experiments across machines, behind Flower's SuperLink and SuperNodes.
struct FlowerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flower",
    abstract: "Run an experiment across machines, on Flower.",
    discussion: """
      Flower carries the messages, with its TLS and node authentication. One experiment file goes to \
      all machines: \"server\" stands behind a SuperLink, \"client\" behind each SuperNode. With the same \
      seed the adapter is that of \"apus run\", to the bit.
      """,
    subcommands: [
      FlowerServerCommand.self, FlowerClientCommand.self, FlowerSimulationCommand.self,
      FlowerInitialCommand.self,
    ])

  /// Lines for the person at this machine, on standard error.
  static let report: @Sendable (String) -> Void = { StandardStream.error.write("flower: \($0)\n") }
}

/// How to reach Flower.
struct FlowerArguments: ParsableArguments {
  @Option(help: "PEM file of the authority of Flower's certificate; none for plain HTTP.")
  var rootCertificates: String?

  @Option(help: "The file that Flower got as --superexec-auth-secret-file.")
  var secretFile: String?

  /// The connection to an address.
  func connection(_ address: String) throws(ApusError) -> FlowerConnection {
    try FlowerConnection(
      address, rootCertificates: rootCertificates.map { URL(fileURLWithPath: $0) },
      secretFile: secretFile.map { URL(fileURLWithPath: $0) })
  }
}

extension ExperimentArguments {
  /// Loads the experiment for a process behind Flower.
  ///
  /// - Parameters:
  ///   - assignments: What the run sets over file and command line.
  ///   - owner: The client that all rows of this machine belong to, if it is one.
  /// - Returns: The experiment, loaded.
  /// - Throws: ``ApusError`` as ``Assembly``; `.unsupported` if the method pools all data.
  func assemble(_ assignments: [String] = [], owner: ClientID? = nil) throws -> Assembly {
    var all = self
    all.assignments += assignments
    let experiment = try all.load()
    guard !experiment.method.poolsData else {
      throw ApusError(
        .unsupported, at: self.experiment,
        "\(experiment.method.card.name) brings all rows to one place, and Flower carries none",
        remedy: "Run it with \"apus run\"")
    }
    return try Assembly(experiment, owner: owner)
  }
}

extension FlowerSite {
  /// What a process behind Flower knows of an experiment.
  init(_ assembly: Assembly) throws {
    let experiment = assembly.experiment
    let site = FlowerSite(
      settings: ExperimentRun.description(of: experiment).configuration, seed: experiment.seed,
      rounds: experiment.federation.rounds, clients: assembly.clients,
      runner: try assembly.makeRunner())
    let files = experiment.data.partition.file.map {
      ["data.partition.file": URL(fileURLWithPath: $0, relativeTo: experiment.folder)]
    }
    self = try site.comparing(contentsOf: files ?? [:])
  }
}
