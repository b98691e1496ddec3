import ApusBase
import ApusCore
import ApusMethods
import ApusTorch
import ArgumentParser
import Foundation

/// What servers compute in one round of a large model, against the dense matrices that they avoid.
///
/// Each cell runs in a process of its own, so that its peak of memory is its own.
struct ServerCostBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "server-cost",
    abstract: "Time and memory of a round's server step, against dense decompositions.")

  @ArgumentParser.OptionGroup var shape: ServerCostShape

  @Option(help: "Numbers of clients.")
  var clients = [10, 50]

  func run() throws {
    print("\(shape.sites) weights \(shape.size)×\(shape.size), rank \(shape.rank)")
    print("dense: \(shape.denseSites) weight(s) measured, times scaled to all")
    for count in clients {
      for method in ServerCostMethod.allCases {
        let factored = try cell(method, count, isDense: false)
        let dense = try cell(method, count, isDense: true)
        print(
          "\(method.rawValue.padding(toLength: 11, withPad: " ", startingAt: 0))"
            + " \(count) clients: \(format(factored.seconds)) s, \(format(factored.megabytes)) MB;"
            + " dense \(format(dense.seconds)) s, \(format(dense.megabytes)) MB;"
            + " ratio \(format(dense.seconds / factored.seconds)) in time,"
            + " \(format(dense.megabytes / factored.megabytes)) in memory")
      }
    }
  }

  private func cell(
    _ method: ServerCostMethod, _ clients: Int, isDense: Bool
  ) throws -> (seconds: Double, megabytes: Double) {
    let process = Process()
    process.executableURL = Bundle.main.executableURL
    process.arguments =
      [ServerCostCell.name, method.rawValue, "--clients", "\(clients)"] + shape.arguments
      + (isDense ? ["--dense"] : [])
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let numbers = String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap {
      Double($0.trimmingCharacters(in: .whitespacesAndNewlines))
    }
    guard process.terminationStatus == 0, numbers.count == 2 else {
      throw ApusError(
        .runState, at: "\(method.rawValue), \(clients) clients", "the measurement failed",
        remedy: "Run the cell alone to see why")
    }
    return (numbers[0], numbers[1])
  }
}

/// The shapes that are measured.
struct ServerCostShape: ParsableArguments {
  @Option(help: "Adapted weights of the model.")
  var sites = 64

  @Option(help: "d_out and d_in of each.")
  var size = 4_096

  @Option(help: "Rank of each client's factors.")
  var rank = 16

  @Option(help: "Weights on which the dense form is measured.")
  var denseSites = 1

  var arguments: [String] {
    [
      "--sites", "\(sites)", "--size", "\(size)", "--rank", "\(rank)", "--dense-sites",
      "\(denseSites)",
    ]
  }
}

/// Methods whose server computes more than means of factors.
enum ServerCostMethod: String, CaseIterable, ExpressibleByArgument {
  case fedexLoRA = "fedex-lora"
  case flexLoRA = "flexlora"
  case loraFAIR = "lora-fair"
  case frLoRA = "frlora"
  case sLoRA = "slora"
}

/// One measurement in a process of its own; prints seconds and megabytes.
struct ServerCostCell: ParsableCommand {
  static let name = "server-cost-cell"
  static let configuration = CommandConfiguration(
    commandName: name, abstract: "One method of server-cost, factored or dense.",
    shouldDisplay: false)

  @Argument(help: "The method.")
  var method: ServerCostMethod

  @Option(help: "Number of clients.")
  var clients: Int

  @ArgumentParser.OptionGroup var shape: ServerCostShape

  @Flag(help: "The dense form, on few weights.")
  var dense = false

  func run() throws {
    let measured =
      dense
      ? try DenseServer(shape: shape, clients: clients).measure(method)
      : try FactoredServer(shape: shape, clients: clients).measure(method)
    print(format(measured.seconds), format(measured.megabytes))
  }
}
