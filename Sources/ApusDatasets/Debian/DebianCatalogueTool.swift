import ApusBase
import Foundation

/// The machine's own package catalogue, as `apt-cache dumpavail` prints it.
enum DebianCatalogueTool {
  /// Runs the tool and hands its output to `read` as it comes.
  ///
  /// - Parameters:
  ///   - searchPath: Folders that may hold the tool, separated by colons.
  ///   - read: Takes the bytes; what it leaves is thrown away.
  /// - Returns: What `read` made of the output.
  /// - Throws: ``ApusError`` `.unsupported` if the machine has no such tool, `.fileAccess` if it
  ///   fails, and what `read` throws.
  static func run<Content>(
    searchPath: String, read: (ByteReader) throws(ApusError) -> Content
  ) throws(ApusError) -> Content {
    let candidates = searchPath.split(separator: ":").map { "\($0)/apt-cache" }
    guard let tool = candidates.first(where: FileManager.default.isExecutableFile) else {
      throw ApusError(
        .unsupported, at: "debian-packages", "this machine has no apt-cache",
        remedy: "Use a machine with Debian or Ubuntu, or a data set in JSONL or CSV")
    }
    let (process, output) = (Process(), Pipe())
    process.executableURL = URL(fileURLWithPath: tool)
    process.arguments = ["dumpavail"]
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    do { try process.run() } catch {
      throw ApusError(
        .fileAccess, at: tool, "the tool cannot be started", remedy: "Check its permissions",
        cause: error)
    }
    defer { if process.isRunning { process.terminate() } }
    let content = try read(ByteReader(handle: output.fileHandleForReading, name: tool))
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw ApusError(
        .fileAccess, at: tool, "it ended with status \(process.terminationStatus)",
        remedy: "Run \"apt-cache dumpavail\" to see what is wrong")
    }
    return content
  }
}
