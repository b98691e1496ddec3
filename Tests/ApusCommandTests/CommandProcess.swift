import ApusTestSupport
import Dispatch
import Foundation
import Synchronization

/// The built command, run as a user runs it.
struct CommandProcess {
  /// What a finished command left.
  struct Result {
    let status: Int32
    let output: String
    let errors: String
  }

  /// Runs the command to its end.
  static func run(_ arguments: [String], in folder: URL, input: String = "") throws -> Result {
    let process = make(arguments, in: folder)
    let (output, errors, standardInput) = (Pipe(), Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (output, errors)
    process.standardInput = standardInput
    try process.run()
    try standardInput.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    try standardInput.fileHandleForWriting.close()
    let collected = Mutex(Data())
    let isRead = DispatchSemaphore(value: 0)
    let reader = Thread {
      let data = errors.fileHandleForReading.readDataToEndOfFile()
      collected.withLock { $0 = data }
      isRead.signal()
    }
    reader.start()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    isRead.wait()
    let problems = collected.withLock { String(decoding: $0, as: UTF8.self) }
    return Result(status: process.terminationStatus, output: text, errors: problems)
  }

  /// Runs the command and sends it a signal when it has written `lines` lines of progress.
  ///
  /// - Returns: How it ended.
  static func run(
    _ arguments: [String], in folder: URL, signalling signal: Int32, afterLines lines: Int
  ) throws -> (reason: Process.TerminationReason, status: Int32) {
    let process = make(arguments, in: folder)
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    var seen = 0
    while seen < lines, let byte = try output.fileHandleForReading.read(upToCount: 1) {
      if byte.first == UInt8(ascii: "\n") { seen += 1 }
    }
    kill(process.processIdentifier, signal)
    _ = try? output.fileHandleForReading.readToEnd()
    process.waitUntilExit()
    return (process.terminationReason, process.terminationStatus)
  }

  private static func make(_ arguments: [String], in folder: URL) -> Process {
    let process = Process()
    process.executableURL = TestProgram.apus
    process.arguments = arguments
    process.currentDirectoryURL = folder
    return process
  }
}
