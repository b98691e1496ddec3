import ApusBase
import Foundation

/// The encoded briefs of one round, all made before the first update comes.
///
/// A server half may change with each brief and each update, so the order of these calls must not
/// depend on who is fast. Equal neighbours, the usual case, are kept once; beyond a budget the
/// others go to a file without a name, so memory does not grow with the cohort.
final class BriefSpool {
  private enum Entry {
    case memory(Data)
    case file(Range<Int>)
  }

  private let budget: Int
  private let folder: URL
  private var entries: [Entry] = []
  private var latest: Data?
  private var bytesInMemory = 0
  private var overflow: DurableFile?

  /// Makes an empty spool.
  ///
  /// - Parameters:
  ///   - budget: Bytes of briefs to keep in memory.
  ///   - folder: On whose disk the overflow goes.
  init(budget: Int, folder: URL) {
    self.budget = budget
    self.folder = folder
  }

  /// Adds the next client's brief.
  func append(_ brief: Data) throws(ApusError) {
    if let entry = entries.last, brief == latest { return entries.append(entry) }
    latest = brief
    if bytesInMemory + brief.count <= budget {
      bytesInMemory += brief.count
      return entries.append(.memory(brief))
    }
    let file: DurableFile
    if let overflow {
      file = overflow
    } else {
      file = try DurableFile(folder.appendingPathComponent("briefs"))
      file.unlink()
      overflow = file
    }
    entries.append(.file(file.count..<(file.count + brief.count)))
    try file.append(brief)
  }

  /// The brief of the client at this place in the order of adding.
  func brief(_ index: Int) throws(ApusError) -> Data {
    switch entries[index] {
    case .memory(let bytes): return bytes
    case .file(let range):
      guard let overflow else { return Data() }
      return try overflow.read(range)
    }
  }
}
