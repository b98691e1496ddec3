import ApusBase
import ApusExperiments
import ApusReports
import ArgumentParser
import Foundation

/// `apus predict`: texts in, labels with their probabilities out.
struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict",
    abstract: "Classify texts with a trained adapter: one line in, one line out.")

  @Argument(help: "An adapter folder, a merged checkpoint, or the folder of a run.")
  var model: String

  @Argument(help: "Texts; without them, lines of --input or of standard input.")
  var texts: [String] = []

  @Option(name: .shortAndLong, help: "File of lines.")
  var input: String?

  @Option(help: "The base model, if it is not the one that the adapter names.")
  var checkpoint: String?

  @Flag(help: "One JSON object a line with the probability of every class.")
  var json = false

  func run() throws {
    let predictor = try Predictor(RunFolder.adapter(in: model), checkpoint: checkpoint)
    let lines = texts.isEmpty ? try InputLines.read(input) : texts
    for (text, shares) in zip(lines, try predictor.probabilities(lines)) {
      StandardStream.output.write(line(text, shares, predictor.labels) + "\n")
    }
  }

  private func line(_ text: String, _ shares: [Double], _ labels: [String]) -> String {
    let ranked = zip(labels, shares).sorted { $0.1 > $1.1 }
    guard json else {
      let best = ranked.first
      return "\(best?.0 ?? "–")\t\(Quantity.number(best?.1 ?? 0, digits: 3))\t\(text)"
    }
    let object: [String: Any] = [
      "text": text, "label": ranked.first?.0 ?? "",
      "scores": Dictionary(zip(labels, shares)) { first, _ in first },
    ]
    let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
    let data = (try? JSONSerialization.data(withJSONObject: object, options: options)) ?? Data()
    return String(decoding: data, as: UTF8.self)
  }
}

/// Where things are in the folder of a run.
enum RunFolder {
  /// The adapter in a run's folder, or the folder itself if it is an adapter or checkpoint.
  static func adapter(in path: String) -> URL {
    let folder = URL(fileURLWithPath: path, isDirectory: true)
    let inside = folder.appending(path: "adapter")
    let exists = FileManager.default.fileExists(
      atPath: inside.appending(path: "adapter_config.json").path)
    return exists ? inside : folder
  }
}
