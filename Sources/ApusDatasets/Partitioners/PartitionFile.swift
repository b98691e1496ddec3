public import ApusBase
public import Foundation

/// `file`: a JSON array with one array of example positions for each client.
///
/// An empty list is a client without data: it is read, and ``Partition/verify(against:declared:)``
/// reports it. Positions that are in no list are the remainder.
public struct PartitionFile: Partitioner, Hashable {
  /// Where the file lies.
  public var url: URL

  public init(_ url: URL) { self.url = url }

  /// Reads the file; nothing is drawn from the stream.
  ///
  /// - Parameters:
  ///   - dataset: The examples that the positions refer to.
  ///   - random: Not used.
  /// - Returns: The partition, its clients numbered in the order of the file.
  /// - Throws: ``ApusError`` `.fileAccess` if the file cannot be read; `.invalidFile`, naming file
  ///   and list, if it is no array of arrays of whole numbers, if a position is not one of the
  ///   data set, or if it stands in two places.
  public func partition(
    _ dataset: Dataset, random: RandomStream
  ) throws(ApusError) -> Partition {
    let file = try JSONNode(contentsOf: url)
    let lists = try file.array()
    guard !lists.isEmpty else {
      throw file.error("there are no clients", remedy: "Give one list of positions per client")
    }
    var owner: [Int: Int] = [:]
    var parts: [[Int]] = []
    for (client, list) in lists.enumerated() {
      var part: [Int] = []
      for element in try list.array() {
        let position = try element.int()
        guard (0..<dataset.count).contains(position) else {
          throw element.error(
            "position \(position) is not in 0..<\(dataset.count)",
            remedy: "Use the partition with the data set it was made for")
        }
        if let other = owner.updateValue(client, forKey: position) {
          throw element.error(
            "position \(position) is already in "
              + (other == client ? "this list" : "list [\(other)]"),
            remedy: "Give every example to one client only")
        }
        part.append(position)
      }
      parts.append(part)
    }
    return Partition(numbered: parts, exampleCount: dataset.count)
  }

  /// Writes a partition so that ``partition(_:random:)`` reads it again.
  ///
  /// The names of the clients are not part of the file.
  ///
  /// - Throws: ``ApusError`` `.fileAccess` if the file cannot be written.
  public func write(_ partition: Partition) throws(ApusError) {
    let lists = partition.clients.map { "\($0.positions)" }
    let text = "[" + lists.joined(separator: ",\n") + "]\n"
    do { try Data(text.utf8).write(to: url, options: .atomic) } catch {
      throw ApusError(
        .fileAccess, at: url.path, "the partition cannot be written",
        remedy: "Check that the folder exists and that you may write there", cause: error)
    }
  }
}
