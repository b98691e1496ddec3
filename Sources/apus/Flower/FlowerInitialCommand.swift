import ApusExperiments
import ArgumentParser
import Foundation

/// `apus flower initial`: the adapter that a Python server starts with.
struct FlowerInitialCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "initial",
    abstract: "Write the adapter as clients start with it, for a server in Python.",
    discussion: """
      The folder is a Hugging Face PEFT adapter; the tensors of its adapter_model.safetensors are the \
      initial arrays of a Flower strategy.
      """)

  @ArgumentParser.OptionGroup var arguments: ExperimentArguments

  @Option(name: .shortAndLong, help: "The adapter's folder.")
  var output: String

  func run() throws {
    let assembly = try Assembly(try arguments.load())
    try assembly.writeAdapter(assembly.initial, to: URL(fileURLWithPath: output))
  }
}
