public import ApusTorch
public import Foundation
import Testing

/// Python with the libraries that parity tests ask directly.
public enum Oracle {
  static let python = packageRoot.appending(path: ".venv-oracle/bin/python")

  /// Whether it is installed.
  public static var isPresent: Bool { FileManager.default.fileExists(atPath: python.path) }

  /// Runs Python to its end and requires that it succeeds.
  ///
  /// - Parameter arguments: A script and its arguments, or `-c` and a program.
  /// - Returns: What it printed.
  /// - Throws: If it cannot be started, or fails; then what it said is recorded.
  @discardableResult
  public static func run(_ arguments: [String]) throws -> String {
    try withTemporaryFolder { folder in
      let said = folder.appending(path: "errors")
      try Data().write(to: said)
      let process = Process()
      process.executableURL = python
      process.arguments = arguments
      process.environment = ProcessInfo.processInfo.environment
        .merging(["HF_HUB_OFFLINE": "1"]) { $1 }
      let output = Pipe()
      process.standardOutput = output
      process.standardError = try FileHandle(forWritingTo: said)
      try process.run()
      let text = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      let errors = String(decoding: try Data(contentsOf: said), as: UTF8.self)
      try #require(process.terminationStatus == 0, "\(arguments.prefix(1)): \(errors)")
      return String(decoding: text, as: UTF8.self)
    }
  }

  /// Hidden states, and logits of classifiers, as transformers and PEFT compute them.
  public static func ask(
    _ checkpoint: URL, _ golden: (ids: [[Int]], types: [[Int]]), adapters: [URL] = []
  ) throws -> SafetensorsFile {
    try withTemporaryFolder { folder in
      let (inputs, outputs) = (folder.appending(path: "in"), folder.appending(path: "out"))
      let (ids, types) = (golden.ids.flatMap { $0 }, golden.types.flatMap { $0 })
      try Safetensors.write(
        [
          ("ids", Tensor(ids, shape: [ids.count])), ("types", Tensor(types, shape: [types.count])),
          ("lengths", Tensor(golden.ids.map(\.count), shape: [golden.ids.count])),
        ], to: inputs)
      try run(
        ([Golden.folder.appending(path: "oracle.py"), checkpoint, inputs, outputs] + adapters)
          .map(\.path))
      return try SafetensorsFile(decoding: Data(contentsOf: outputs), name: "oracle")
    }
  }
}
