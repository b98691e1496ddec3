import ApusBase
import ApusMethods
import ApusTorch
import ArgumentParser
import Foundation

/// What servers compute in one round of a large model, against the dense matrices that they avoid.
///
/// Weights are independent of one another, so a few stand for all: times are multiplied, and memory
/// is extended in a straight line from half of them and all of them. One dense weight is measured,
/// its decomposition once for all methods that need it. Each cell runs in a process of its own, so
/// that its peak of memory is its own.
struct ServerCostBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "server-cost",
    abstract: "Processor time and memory of a round's server step, against dense matrices.")

  @ArgumentParser.OptionGroup var shape: ServerCostShape

  @Option(help: "Numbers of clients.")
  var clients = [10, 50]

  func run() throws {
    say("\(shape.sites) weights \(shape.size)×\(shape.size), rank \(shape.rank)")
    say(
      "server halves: \(shape.factoredSites) weights measured, times multiplied by "
        + "\(shape.sites / shape.factoredSites)")
    say("dense: one weight measured, times multiplied by \(shape.sites)")
    let decomposition = try cell(["--dense", "--decomposition"])
    say(
      "one dense decomposition: \(format(decomposition.seconds)) s, "
        + "\(format(decomposition.megabytes)) MB\n")
    say("| method | clients | s | MB | dense s | dense MB | time ratio | memory ratio |")
    say("|---|---|---|---|---|---|---|---|")
    for method in ServerCostMethod.allCases {
      for count in clients {
        let own = try factored(method, count)
        let other = try dense(method, count, beside: decomposition)
        let cells =
          [own.seconds, own.megabytes, other.seconds, other.megabytes].map(format)
          + [
            format(other.seconds / own.seconds), format(other.megabytes / own.megabytes),
          ]
        say("| \(method.rawValue) | \(count) | \(cells.joined(separator: " | ")) |")
      }
    }
  }

  /// Writes a line at once, also where nobody sits before it.
  private func say(_ line: String) {
    FileHandle.standardOutput.write(Data("\(line)\n".utf8))
  }

  /// The server half, extended to all weights.
  private func factored(_ method: ServerCostMethod, _ clients: Int) throws -> ServerCost {
    let common = ["--method", method.rawValue, "--clients", "\(clients)"]
    let (few, half) = (shape.factoredSites, shape.factoredSites / 2)
    let (whole, part) = (
      try cell(common + ["--measured", "\(few)"]), try cell(common + ["--measured", "\(half)"])
    )
    let slope = max(0, whole.megabytes - part.megabytes) / Double(few - half)
    return ServerCost(
      seconds: whole.seconds * Double(shape.sites) / Double(few),
      megabytes: whole.megabytes + slope * Double(shape.sites - few))
  }

  /// The dense form, extended to all weights.
  ///
  /// A server that takes updates one by one holds the sums of all weights, and works on one of them
  /// at a time.
  private func dense(
    _ method: ServerCostMethod, _ clients: Int, beside decomposition: ServerCost
  ) throws -> ServerCost {
    let own = try cell(["--dense", "--method", method.rawValue, "--clients", "\(clients)"])
    let sums = Double(shape.sites - 1) * Double(shape.size * shape.size) * 4 / 1e6
    let extra = method.decomposes ? decomposition : ServerCost(seconds: 0, megabytes: 0)
    return ServerCost(
      seconds: (own.seconds + extra.seconds) * Double(shape.sites),
      megabytes: max(own.megabytes, extra.megabytes) + sums)
  }

  private func cell(_ arguments: [String]) throws -> ServerCost {
    let process = Process()
    process.executableURL = Bundle.main.executableURL
    process.arguments = [ServerCostCell.name] + arguments + shape.arguments
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
        .runState, at: arguments.joined(separator: " "), "the measurement failed",
        remedy: "Run the cell alone to see why")
    }
    return ServerCost(seconds: numbers[0], megabytes: numbers[1])
  }
}

/// Processor seconds and megabytes.
struct ServerCost {
  let seconds: Double
  let megabytes: Double
}

/// The shapes that are measured.
struct ServerCostShape: ParsableArguments {
  @Option(help: "Adapted weights of the model.")
  var sites = 64

  @Option(help: "d_out and d_in of each.")
  var size = 4_096

  @Option(help: "Rank of each client's factors.")
  var rank = 16

  @Option(help: "Weights on which the server halves are measured: at least two, a part of all.")
  var factoredSites = 4

  func validate() throws {
    guard factoredSites >= 2, sites >= factoredSites, sites.isMultiple(of: factoredSites) else {
      throw ValidationError(
        "--factored-sites \(factoredSites) is not at least 2 and a divisor of --sites \(sites).")
    }
  }

  var arguments: [String] { ["--size", "\(size)", "--rank", "\(rank)"] }
}

/// Methods whose server computes more than means of factors.
enum ServerCostMethod: String, CaseIterable, ExpressibleByArgument {
  case fedexLoRA = "fedex-lora"
  case flexLoRA = "flexlora"
  case loraFAIR = "lora-fair"
  case frLoRA = "frlora"
  case sLoRA = "slora"

  /// Whether its dense form decomposes a matrix.
  var decomposes: Bool { self == .fedexLoRA || self == .flexLoRA || self == .sLoRA }
}

/// One measurement in a process of its own; prints seconds and megabytes.
struct ServerCostCell: ParsableCommand {
  static let name = "server-cost-cell"
  static let configuration = CommandConfiguration(
    commandName: name, abstract: "One method of server-cost, factored or dense.",
    shouldDisplay: false)

  @Option(help: "The method.")
  var method = ServerCostMethod.fedexLoRA

  @Option(help: "Number of clients.")
  var clients = 10

  @Option(help: "Weights to measure.")
  var measured = 1

  @ArgumentParser.OptionGroup var shape: ServerCostShape

  @Flag(help: "The dense form, on one weight, without its decomposition.")
  var dense = false

  @Flag(help: "The dense decomposition of one weight alone.")
  var decomposition = false

  func run() throws {
    LibTorch.threadsPerOperation = 1
    let cost: ServerCost
    if decomposition {
      cost = try DenseServer(shape: shape, clients: clients).decomposition()
    } else if dense {
      cost = try DenseServer(shape: shape, clients: clients).measure(method)
    } else {
      cost = try FactoredServer(shape: shape, sites: measured, clients: clients).measure(method)
    }
    print(cost.seconds, cost.megabytes)
  }
}
