import ApusBase
import ApusCore
import ApusSimulation
import Foundation
import Testing

@testable import ApusFlower

/// Whatever another machine sends is read or refused; nothing of it ends this process.
@Suite struct HostileLaws {
  private static let frame = FlowerContent(
    WorkerFrame(head: Data("{\"train\": {}}".utf8), parts: [Data("brief".utf8), Data()]))
  private static let introduction =
    Introduction(index: 1, name: "one", sampleCount: 5).content
  private static let greeting = Greeting(settings: ["a": "b"], seed: 1).content

  /// Takes in a message as every part of Apus would.
  private func readAsAll(_ envelope: Flwr_Proto_Message, _ objects: [String: StoredObject]) {
    guard case .content(let content)? = try? FlowerMessage(envelope, objects: objects).payload
    else { return }
    _ = Greeting(content)
    _ = try? Introduction(content)
    _ = try? ArrayContent.update(content, at: "here")
    _ = try? ArrayContent.brief(content, at: "here")
    guard let frame = try? content.frame() else { return }
    _ = (frame.askedClient, try? frame.clientAnswer(), try? frame.numbers())
  }

  @Test(arguments: 0..<300)
  func `bytes that were changed are read or refused`(seed: Int) throws {
    var random = RandomStream(seed: UInt64(seed))
    let contents = [ObjectLaws.content, Self.frame, Self.introduction, Self.greeting]
    let packed = try PackedMessage(
      FlowerMessage(ObjectLaws.metadata, .content(contents[seed % contents.count])))
    // The objects change under the ids that their parents know, as if no hash stood in between.
    let names = packed.objects.keys.sorted()
    let victim = names[random.integer(below: names.count)]
    let old = try #require(packed.objects[victim])
    var body = old.body
    for _ in 0...random.integer(below: 4) where !body.isEmpty {
      let place = body.startIndex + random.integer(below: body.count)
      switch random.integer(below: 3) {
      case 0: body[place] = UInt8(random.integer(below: 256))
      case 1: body.removeSubrange(place...)
      default: body.insert(contentsOf: Data("9\"[,{".utf8), at: place)
      }
    }
    let new = StoredObject(old.kind, children: old.children, body: body)
    var objects = packed.objects
    objects[victim] = new
    readAsAll(packed.envelope, objects)
    // What stands in between: bytes are taken for an object only under their own hash.
    let isTaken = (try? StoredObject(new.bytes, id: victim)) != nil
    #expect(isTaken == (new.bytes == old.bytes))
  }

  @Test func `objects of the wrong kind are refused`() throws {
    let packed = try PackedMessage(FlowerMessage(ObjectLaws.metadata, .content(ObjectLaws.content)))
    let records: Set<StoredObject.Kind> = [.arrayRecord, .metricRecord, .configRecord]
    var swaps = 0
    for (victim, own) in packed.objects {
      for other in packed.objects.values where other.kind != own.kind {
        var objects = packed.objects
        objects[victim] = other
        // A record of another kind may stand there; then it is read as what it is.
        guard !records.isSuperset(of: [own.kind, other.kind]) else {
          readAsAll(packed.envelope, objects)
          continue
        }
        swaps += 1
        #expect(throws: ApusError.self, "\(other.kind) for \(own.kind)") {
          try FlowerMessage(packed.envelope, objects: objects)
        }
      }
    }
    // Seven objects of seven kinds, three of them records.
    #expect(swaps == 7 * 6 - 3 * 2)
  }

  @Test func `a chunk that is named thousands of times is no array`() throws {
    let chunk = StoredObject(.arrayChunk, body: Data(count: 1 << 20))
    let places = Array(repeating: "0", count: 5000).joined(separator: ", ")
    let array = StoredObject(
      .array, children: [chunk.id],
      body: Data("{\"stype\": \"numpy.ndarray\", \"arraychunk_ids\": [\(places)]}".utf8))
    func parent(_ kind: StoredObject.Kind, of child: StoredObject) -> StoredObject {
      StoredObject(
        kind, children: [child.id], body: OrderedJSON.write([(key: "x", value: child.id)]))
    }
    let record = parent(.arrayRecord, of: array)
    let dictionary = parent(.recordDict, of: record)
    let message = StoredObject(.message, children: [dictionary.id], body: Data())
    var envelope = Flwr_Proto_Message()
    envelope.metadata.messageID = message.id
    let all = [chunk, array, record, dictionary, message]
    let error = #expect(throws: ApusError.self) {
      try FlowerMessage(
        envelope, objects: Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0) }))
    }
    #expect(error?.problem.contains("more than") == true)
  }

  @Test(arguments: [Double.nan, -.infinity, .infinity, 1e300, -1, 2e15])
  func `a number of examples that is none is refused`(count: Double) {
    let content = FlowerContent([
      ("arrays", .arrays([])), ("metrics", .metrics([("num-examples", .double(count))])),
    ])
    let error = #expect(throws: ApusError.self) { try ArrayContent.update(content, at: "here") }
    #expect(error?.location == "here, metrics, num-examples")
  }

  @Test(arguments: [Int.min, -1, 1 << 50, Int.max])
  func `a client without a countable number of rows is no client`(rows: Int) {
    let content = Introduction(index: 1, name: "one", sampleCount: rows).content
    let error = #expect(throws: ApusError.self) { try Introduction(content) }
    #expect(error?.code == .invalidMessage)
  }

  @Test func `what others say is one line without control characters`() throws {
    let content = Introduction(index: 1, name: "a\u{1B}[2J\nb\u{202E}", sampleCount: 1).content
    #expect(try Introduction(content).name == "a [2J b ")
    let reason = FlowerFailure(code: 2, reason: String(repeating: "é", count: 5000)).reason
    #expect(reason.unicodeScalars.count == 1001)
  }

  @Test func `a run has no say in what a client reads`() throws {
    try RunOverrides.requireLocal(["apus.federation.rounds": .init(), "data.train": .init()])
    for key in ["apus.data.train", "apus.model.checkpoint"] {
      let error = #expect(throws: ApusError.self) {
        try RunOverrides.requireLocal([key: .init()])
      }
      #expect(error?.location.hasSuffix(key) == true)
    }
  }
}
