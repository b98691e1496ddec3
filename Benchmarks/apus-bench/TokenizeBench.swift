import ApusBase
import ApusTokenizers
import ArgumentParser
import Foundation

/// A tokenizer beside Python's `tokenizers`: the same texts, one thread each, turn by turn.
struct TokenizeBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize", abstract: "Time of tokenizing over the time of Python's library.")

  @Argument(help: "A checkpoint folder with a tokenizer.")
  var folder: String

  @Argument(help: "Texts: a file of lines, or JSONL with a field \"text\" or \"question\".")
  var texts: String

  @Option(help: "Texts of one measurement at most.")
  var count = 5_000

  @Option(help: "Measurements of each, in turn; the medians count.")
  var repeats = 5

  @Option(help: "Python with the library `tokenizers`.")
  var python = ".venv-oracle/bin/python"

  func run() throws {
    let texts = try readTexts()
    let tokenizer = try Tokenizer(contentsOf: URL(fileURLWithPath: folder))
    let input = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).json")
    try JSONSerialization.data(withJSONObject: texts).write(to: input)
    defer { try? FileManager.default.removeItem(at: input) }
    var (own, others): ([Double], [Double]) = ([], [])
    var library: [String: Double] = [:]
    var (tokens, sum) = (0, 0)
    for turn in 0...repeats {
      let begin = processorSeconds()
      let encodings = try texts.map { try tokenizer.encode($0, truncation: .off, padding: .off) }
      let seconds = processorSeconds() - begin
      (tokens, sum) = encodings.reduce((0, 0)) { ($0.0 + $1.count, $0.1 + $1.ids.reduce(0, +)) }
      library = try askLibrary(input)
      guard turn > 0 else { continue }  // the first warms up
      own.append(seconds)
      others.append(library["seconds"] ?? .nan)
    }
    let bytes = texts.reduce(0) { $0 + $1.utf8.count }
    let speed = { (seconds: Double) in format(Double(bytes) / 1e6 / seconds) }
    let (mine, theirs) = (median(own), median(others))
    let isSame = Double(tokens) == library["tokens"] && Double(sum) == library["sum"]
    print("\(texts.count) texts, \(bytes) bytes, \(tokens) tokens, one thread × \(repeats)")
    print("Apus    \(format(mine * 1e3)) ms  \(speed(mine)) MB/s")
    print("Python  \(format(theirs * 1e3)) ms  \(speed(theirs)) MB/s")
    print("ratio   \(format(mine / theirs))\(isSame ? "" : "  (the tokens differ)")")
  }

  private func readTexts() throws -> [String] {
    let lines = try String(contentsOfFile: texts, encoding: .utf8).split(separator: "\n")
    return try lines.prefix(count).map { line in
      guard line.hasPrefix("{") else { return String(line) }
      let row = try JSONNode(parsing: Data(line.utf8), file: texts)
      return try (row["text"].exists ? row["text"] : row["question"]).string()
    }
  }

  /// Seconds, number of tokens and sum of ids by the library.
  private func askLibrary(_ input: URL) throws -> [String: Double] {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: python)
    process.arguments = ["Benchmarks/tokenizer_peer.py", folder, input.path]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw ApusError(
        .runState, at: python, "the library's program ended with \(process.terminationStatus)",
        remedy: "See what it said above; scripts/setup-oracle installs the library")
    }
    var found: [String: Double] = [:]
    for (name, value) in try JSONNode(parsing: data, file: python).dictionary() {
      found[name] = try value.double()
    }
    return found
  }
}
