import ApusBase
import ApusCore
import ApusExperiments
import ApusReports
import ArgumentParser
import Foundation

/// `apus export`: the model of a run as files that others open.
struct ExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write a run's model: a Hugging Face PEFT adapter, or a merged checkpoint.")

  @Argument(help: "The folder of a run, such as runs/demo.")
  var source: String

  @Option(help: "Folder to write.")
  var out: String

  @Option(help: "A round that has a checkpoint, from 1; without it, the last.")
  var round: Int?

  @Option(help: "A client whose own adapter is written instead of the global one.")
  var client: String?

  @Option(help: "Rank at which a DyLoRA adapter is written; without it, the experiment's.")
  var width: Int?

  @Flag(help: "Merge the adapter into the backbone and write the whole checkpoint.")
  var merged = false

  func validate() throws {
    guard client == nil || round == nil else {
      throw ValidationError("A client's adapter is kept for the last round only.")
    }
  }

  func run() async throws {
    let folder = URL(fileURLWithPath: source)
    let file = folder.appending(path: "experiment.yaml")
    let text: String
    do { text = try String(contentsOf: file, encoding: .utf8) } catch {
      throw ApusError(
        .runState, at: file.path, "this is not the folder of a run",
        remedy: "Give a folder that \"apus run\" made", cause: error)
    }
    let experiment = try Experiment(
      parsing: text, file: file.path, folder: folder,
      assignments: width.map { ["adapter.dylora.width=\($0)"] } ?? [])
    let assembly = try Assembly(experiment)
    let model =
      if let client {
        try await assembly.adapter(ofClient: client, in: folder)
      } else {
        try assembly.global(of: folder, after: round.map { $0 - 1 })
      }
    let output = URL(fileURLWithPath: out)
    if merged {
      try assembly.writeMerged(model, to: output)
    } else {
      try assembly.writeAdapter(model, to: output)
    }
    StandardStream.output.write("\(output.path)\n")
  }
}
