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
      into the factors of the written adapter, whose rank grows by it, or with --merged into the \
      weights themselves. Norms of what was combined, and what the server reports of them, are \
      printed as JSON.
      """)

  @Argument(help: "PEFT folders, one for each client.")
  var adapters: [String]

  @Option(help: "The method whose server combines them: \(methods).")
  var method = "fedex-lora"

  @Option(
    help: """
      Weights of the folders, such as 100,250,40; without them all count alike. For factors HetLoRA \
      goes by the norms of the adapters instead.
      """)
  var weights: String?

  @Option(
    help: """
      The base model, by folder or name: adapters are checked against its shapes, and methods \
      see its weights.
      """)
  var base: String?

  @Flag(help: "Write the base model with the result added to its weights, as a checkpoint.")
  var merged = false

  @Option(help: "Folder to write.")
  var out: String

  private static let methods = AdapterAggregation.methods.joined(separator: ", ")

  func validate() throws {
    guard !merged || base != nil else {
      throw ValidationError("--merged needs the base model, by --base.")
    }
  }

  func run() throws {
    let given = weights?.split(separator: ",", omittingEmptySubsequences: false).map {
      Double($0.trimmingCharacters(in: .whitespaces))
    }
    guard given?.allSatisfy({ $0 != nil }) ?? true else {
      throw ValidationError("--weights takes numbers with commas between, such as 100,250,40.")
    }
    let here = URL(fileURLWithPath: FileManager.default.currentDirectoryPath)
    let result = try AdapterAggregation(
      adapters.map { URL(fileURLWithPath: $0) },
      weights: given?.compactMap { $0 } ?? adapters.map { _ in 1 },
      method: try MethodCatalog.entry(method),
      base: try base.map { try CheckpointLocator.folder(of: $0, from: here) })
    if merged {
      try result.writeMerged(to: URL(fileURLWithPath: out))
    } else {
      var folder = result.folder
      if let base { folder.baseModel = try CheckpointLocator.publicName(of: base, from: here) }
      try folder.write(to: URL(fileURLWithPath: out))
    }
    let json = try JSONSerialization.data(
      withJSONObject: result.metrics, options: [.prettyPrinted, .sortedKeys])
    StandardStream.output.write(String(decoding: json, as: UTF8.self) + "\n")
  }
}
