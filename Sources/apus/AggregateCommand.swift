import ApusAdapters
import ApusBase
import ApusExperiments
import ApusMethods
import ApusReports
import ArgumentParser
import Foundation

/// `apus aggregate`: adapters that were trained elsewhere, combined without a run.
struct AggregateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "aggregate",
    abstract: "Combine PEFT adapters as a method's server does, and write what it would send.",
    discussion: """
      Each folder counts as one client of one round. What the method adds to the base weights goes \
      into the factors of the written adapter, whose rank grows by it. The norms that the server \
      reports are printed as JSON.
      """)

  @Argument(help: "PEFT folders, one for each client.")
  var adapters: [String]

  @Option(help: "The method whose server combines them; \"apus methods\" lists them.")
  var method = "fedex-lora"

  @Option(help: "Weights of the folders, such as 100,250,40; without them all count alike.")
  var weights: String?

  @Option(help: "The base model that the written folder names, if not that of the folders.")
  var base: String?

  @Option(help: "Folder to write.")
  var out: String

  func run() throws {
    let given = weights?.split(separator: ",").map {
      Double($0.trimmingCharacters(in: .whitespaces))
    }
    guard given?.allSatisfy({ $0 != nil }) ?? true else {
      throw ValidationError("--weights takes numbers with commas between, such as 100,250,40.")
    }
    let result = try AdapterAggregation(
      adapters.map { URL(fileURLWithPath: $0) },
      weights: given?.compactMap { $0 } ?? adapters.map { _ in 1 },
      method: try MethodCatalog.entry(method))
    var folder = result.folder
    if let base { folder.baseModel = base }
    try folder.write(to: URL(fileURLWithPath: out))
    let json = try JSONSerialization.data(
      withJSONObject: result.metrics, options: [.prettyPrinted, .sortedKeys])
    StandardStream.output.write(String(decoding: json, as: UTF8.self) + "\n")
  }
}
