import ApusBase
import ApusReports
import ApusTorch
import ArgumentParser
import Foundation

/// The command: each subcommand is a thin layer over the library.
@main
struct Apus: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus",
    abstract: "Fine-tune foundation models on data that may not be moved.",
    discussion: """
      Exit codes: 0 done, 64 usage, 65 bad data or checkpoint, 66 file missing or unreadable, \
      70 failure inside, 73 nothing could be written, 78 bad experiment file, 130 interrupted \
      (the run can be resumed).
      """,
    version: ApusVersion.current,
    subcommands: [
      RunCommand.self, CompareCommand.self, RunsCommand.self, MethodsCommand.self, DataCommand.self,
      PredictCommand.self, ExportCommand.self, AggregateCommand.self, TokenizeCommand.self,
      LogitsCommand.self, GenerateCommand.self, ModelsCommand.self, FlowerCommand.self,
      ClientWorkerCommand.self,
    ])

  static func main() async {
    LibTorch.limitHeldMemory()
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch let error as ApusError {
      StandardStream.error.write("apus: \(error)\n")
      Foundation.exit(exitCode(of: error))
    } catch {
      exit(withError: error)
    }
  }

  private static func exitCode(of error: ApusError) -> Int32 {
    switch error.code {
    case .invalidConfig: 78
    case .invalidData, .invalidFile, .checkpointMismatch, .shapeMismatch, .unsupported: 65
    case .fileAccess: 66
    case .runState: 73
    case .interrupted: 130
    default: 70
    }
  }
}

/// The version of this package.
enum ApusVersion {
  static let current = "0.1.0"
}
