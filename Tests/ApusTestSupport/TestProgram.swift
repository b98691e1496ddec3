public import Foundation

/// Programs that are built beside the tests.
public enum TestProgram {
  /// The `apus` command.
  public static var apus: URL {
    let bundle = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    return bundle.deletingLastPathComponent().appending(path: "apus")
  }
}
