import ApusBase
import ApusCore
import Foundation
import SwiftProtobuf

/// A message taken apart into the objects that Flower's store keeps.
struct PackedMessage: Sendable {
  /// What announces the message: its metadata, and no content.
  let envelope: Flwr_Proto_Message
  /// How the objects hang together.
  let tree: Flwr_Proto_ObjectTree
  /// By id.
  let objects: [String: StoredObject]

  /// Takes a message apart.
  ///
  /// - Throws: What SwiftProtobuf throws if a record is too large for a message of Protobuf.
  init(_ message: FlowerMessage) throws {
    var objects: [String: StoredObject] = [:]
    func store(
      _ kind: StoredObject.Kind, _ children: [Flwr_Proto_ObjectTree], _ body: Data
    ) -> Flwr_Proto_ObjectTree {
      let object = StoredObject(kind, children: children.map(\.objectID), body: body)
      objects[object.id] = object
      var tree = Flwr_Proto_ObjectTree()
      tree.objectID = object.id
      let byID = Dictionary(children.map { ($0.objectID, $0) }) { first, _ in first }
      tree.children = object.children.compactMap { byID[$0] }
      return tree
    }
    func store(_ array: FlowerArray) -> Flwr_Proto_ObjectTree {
      let chunks = array.chunks.map { store(.arrayChunk, [], $0) }
      var places: [String: Int] = [:]
      let order = chunks.map { chunk in
        let place = places[chunk.objectID] ?? places.count
        places[chunk.objectID] = place
        return String(place)
      }
      let shape = array.shape.map(String.init).joined(separator: ", ")
      let body =
        "{\"dtype\": \(OrderedJSON.quoted(array.dtype)), \"shape\": [\(shape)], "
        + "\"stype\": \"numpy.ndarray\", \"arraychunk_ids\": [\(order.joined(separator: ", "))]}"
      return store(.array, chunks, Data(body.utf8))
    }
    func store(
      _ kind: StoredObject.Kind, named children: [(String, Flwr_Proto_ObjectTree)]
    ) -> Flwr_Proto_ObjectTree {
      store(
        kind, children.map(\.1),
        OrderedJSON.write(children.map { (key: $0.0, value: $0.1.objectID) }))
    }
    func store(_ record: FlowerContent.Record) throws -> Flwr_Proto_ObjectTree {
      switch record {
      case .arrays(let arrays):
        store(.arrayRecord, named: arrays.map { ($0.name, store($0.array)) })
      case .metrics(let values):
        store(.metricRecord, [], try Flwr_Proto_MetricRecord(values).serializedData())
      case .config(let values):
        store(.configRecord, [], try Flwr_Proto_ConfigRecord(values).serializedData())
      }
    }
    var head = Flwr_Proto_Message()
    head.metadata = message.metadata
    head.metadata.messageID = ""
    var children: [Flwr_Proto_ObjectTree] = []
    switch message.payload {
    case .content(let content):
      children = [
        store(
          .recordDict,
          named: try content.records.map { name, record in (name, try store(record)) })
      ]
    case .error(let failure):
      head.error.code = Int64(failure.code)
      head.error.reason = failure.reason
    }
    tree = store(.message, children, try head.serializedData())
    var envelope = head
    envelope.metadata.messageID = tree.objectID
    if children.first != nil { envelope.content = Flwr_Proto_RecordDict() }
    self.envelope = envelope
    self.objects = objects
  }

  /// Bytes of a message that are taken in, at most: a machine has to hold them.
  static let limit = 1 << 32

  /// Ids with children before their parents, each once.
  static func order(of tree: Flwr_Proto_ObjectTree) -> [String] {
    var seen: Set<String> = []
    var ids: [String] = []
    func visit(_ tree: Flwr_Proto_ObjectTree) {
      for child in tree.children { visit(child) }
      if seen.insert(tree.objectID).inserted { ids.append(tree.objectID) }
    }
    visit(tree)
    return ids
  }
}

extension FlowerMessage {
  /// Puts a message together.
  ///
  /// - Parameters:
  ///   - envelope: What announced the message.
  ///   - objects: All objects of its tree, by id; their hashes are checked.
  /// - Throws: ``ApusError`` `.invalidMessage` if an object is missing or malformed.
  init(_ envelope: Flwr_Proto_Message, objects: [String: StoredObject]) throws(ApusError) {
    let metadata = envelope.metadata
    func object(_ id: String, _ kind: StoredObject.Kind? = nil) throws(ApusError) -> StoredObject {
      guard let object = objects[id] else { throw StoredObject.error(id, "it is missing") }
      guard kind == nil || object.kind == kind else {
        throw StoredObject.error(id, "it is a \(object.kind.rawValue)")
      }
      return object
    }
    let root = try object(metadata.messageID, .message)
    if envelope.hasError {
      let failure = FlowerFailure(
        code: Int(envelope.error.code), reason: envelope.error.reason)
      self.init(metadata, .error(failure))
      return
    }
    guard let id = root.children.first else { throw StoredObject.error(root.id, "it is empty") }
    let dictionary = try object(id, .recordDict)
    var content = FlowerContent()
    for (name, id) in try dictionary.names() {
      let record = try object(id)
      content.records.append(
        (name, try record.record { (id, kind) throws(ApusError) in try object(id, kind) }))
    }
    self.init(metadata, .content(content))
  }
}

extension StoredObject {
  /// Ids by name, of a body that is a JSON object of texts.
  fileprivate func names() throws(ApusError) -> [(key: String, value: String)] {
    guard let names = OrderedJSON.read(body) else {
      throw Self.error(id, "its body is no JSON object of ids")
    }
    return names
  }

  /// Finds an object of a kind by its id.
  fileprivate typealias Find = (String, Kind) throws(ApusError) -> StoredObject

  fileprivate func record(_ find: Find) throws(ApusError) -> FlowerContent.Record {
    switch kind {
    case .arrayRecord:
      var arrays: [(name: String, array: FlowerArray)] = []
      for (name, id) in try names() {
        arrays.append((name, try find(id, .array).array(name, find)))
      }
      return .arrays(arrays)
    case .metricRecord:
      guard let record = try? Flwr_Proto_MetricRecord(serializedBytes: body) else { break }
      return .metrics(record.values)
    case .configRecord:
      guard let record = try? Flwr_Proto_ConfigRecord(serializedBytes: body) else { break }
      return .config(record.values)
    default: break
    }
    throw Self.error(id, "a \(kind.rawValue) stands where a record should")
  }

  private func array(_ name: String, _ find: Find) throws(ApusError) -> FlowerArray {
    let json = try JSONNode(parsing: Data(body), file: "Flower array \(name)")
    let kind = try json["stype"].string()
    guard kind == "numpy.ndarray" else {
      throw Self.error(id, "array \(name) is serialized as \(kind)")
    }
    var chunks: [Data] = []
    for index in try json["arraychunk_ids"].array() {
      let place = try index.int()
      guard children.indices.contains(place) else {
        throw Self.error(id, "array \(name) lacks chunk \(place)")
      }
      chunks.append(try find(children[place], .arrayChunk).body)
    }
    // A chunk may be named many times, so a small message could claim any size.
    let count = chunks.reduce(0) { $0 + $1.count }
    guard count <= PackedMessage.limit else {
      throw Self.error(id, "array \(name) has \(count) bytes, more than \(PackedMessage.limit)")
    }
    var file = Data(capacity: count)
    for chunk in chunks { file.append(chunk) }
    return try FlowerArray(npy: file, at: "Flower array \(name)")
  }
}
