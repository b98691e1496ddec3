import ApusBase
import ApusExperiments
import ApusReports
import ApusTokenizers
import ArgumentParser
import Foundation

/// `apus tokenize`: lines in, one JSON array of token ids per line out.
struct TokenizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Turn lines of text into token ids, one JSON array a line.")

  @Argument(help: "A checkpoint folder or name, or a tokenizer.json.")
  var checkpoint: String

  @Option(name: .shortAndLong, help: "File of lines; without it, standard input.")
  var input: String?

  @Option(help: "Cut to this many tokens, special ones included.")
  var maxLength: Int?

  @Flag(help: "Leave special tokens such as [CLS] out.")
  var noSpecialTokens = false

  func run() throws {
    let here = URL(fileURLWithPath: FileManager.default.currentDirectoryPath)
    let place = URL(fileURLWithPath: checkpoint)
    let source =
      place.pathExtension == "json"
      ? place : try CheckpointLocator.folder(of: checkpoint, from: here)
    let tokenizer = try Tokenizer(contentsOf: source)
    let truncation = maxLength.map { Truncation(maxLength: $0) } ?? .off
    var output = ""
    for line in try InputLines.read(input) {
      let encoding = try tokenizer.encode(
        line, addSpecialTokens: !noSpecialTokens, truncation: truncation, padding: .off)
      output += "[\(encoding.ids.map(String.init).joined(separator: ", "))]\n"
    }
    StandardStream.output.write(output)
  }
}
