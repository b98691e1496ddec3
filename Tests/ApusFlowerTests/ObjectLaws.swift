import ApusBase
import ApusCore
import Foundation
import Testing

@testable import ApusFlower

/// The ids below were made by the classes of Flower 1.41 itself.
@Suite struct ObjectLaws {
  static let array: FlowerArray = {
    let floats: [Float] = [1, 2, 3, 4]
    return FlowerArray(
      dtype: "float32", shape: [4], elements: floats.withUnsafeBytes { Data($0) })
  }()

  static let content = FlowerContent([
    ("arrays", .arrays([("w", array)])),
    (
      "config",
      .config([
        ("server-round", .int(1)), ("lr", .double(0.1)), ("tag", .string("x")), ("on", .bool(true)),
      ])
    ),
    ("metrics", .metrics([("num-examples", .int(10)), ("loss", .double(0.5))])),
  ])

  static let metadata: Flwr_Proto_Metadata = {
    var metadata = Flwr_Proto_Metadata()
    metadata.runID = 7
    metadata.srcNodeID = 1
    metadata.dstNodeID = 9
    metadata.groupID = "1"
    metadata.ttl = 600
    metadata.messageType = "train"
    metadata.createdAt = 1_750_000_000
    return metadata
  }()

  @Test(arguments: [
    ("ArrayChunk", "214f7b7511228a7baddcc968d6cf4a265b7a8bc4f7794b65ac850f05b2cab54f"),
    ("Array", "1c35f4839be27b56d44147d0030da52eb3c1caa523cbce0f4a47b8b6c257c83d"),
    ("ArrayRecord", "97b7287f54b5d18177036be11020d6524c8c680224fc5abd49ea6a198bcd395b"),
    ("ConfigRecord", "5168d0edca828bc59e5ab71e0fd01e63a7b538bdde923b2d14eefbbca7984fa5"),
    ("MetricRecord", "774e484fca5b41799eeb0ee11484ef780f1194e442b05cbf3207d51a428f5236"),
    ("RecordDict", "46885795c2b885570513058536f9a8c3222a0c93835b371a2f7bd531066b0c64"),
    ("Message", "ea4738b6faabacd44804930e08408b5193879875946b503138c6a922e806dbfd"),
  ])
  func `each object has the id that Flower gives it`(kind: String, id: String) throws {
    let packed = try PackedMessage(FlowerMessage(Self.metadata, .content(Self.content)))
    #expect(packed.objects.values.filter { $0.kind.rawValue == kind }.map(\.id) == [id])
  }

  @Test func `a message with an error has the id that Flower gives it`() throws {
    let failure = FlowerFailure(code: 2, reason: "boom")
    let packed = try PackedMessage(FlowerMessage(Self.metadata, .error(failure)))
    let id = "962131bfa275ce40b38cb17c352eb3118083400eac0b8f63b52f8275083538de"
    #expect(packed.envelope.metadata.messageID == id)
    #expect(packed.objects.count == 1)
    #expect(packed.envelope.hasError && !packed.envelope.hasContent)
  }

  @Test func `an envelope has an empty content, never none`() throws {
    let packed = try PackedMessage(FlowerMessage(Self.metadata, .content(FlowerContent())))
    #expect(packed.envelope.hasContent && packed.envelope.content.items.isEmpty)
  }

  @Test func `a message that was taken apart comes back as it was`() throws {
    let packed = try PackedMessage(FlowerMessage(Self.metadata, .content(Self.content)))
    let stored = try packed.objects.mapValues { try StoredObject($0.bytes, id: $0.id) }
    let message = try FlowerMessage(packed.envelope, objects: stored)
    guard case .content(let content) = message.payload else {
      Issue.record("an error came back")
      return
    }
    #expect(content.records.map(\.name) == ["arrays", "config", "metrics"])
    #expect(content.arrays()?.first?.array == Self.array)
    #expect(
      content.config == [
        "server-round": .int(1), "lr": .double(0.1), "tag": .string("x"), "on": .bool(true),
      ])
    #expect(content.metrics == ["num-examples": .int(10), "loss": .double(0.5)])
  }

  @Test func `arrays keep their order, whatever their names`() throws {
    let names = ["z", "a", "ü\"\\\n", "m"]
    let content = FlowerContent([("arrays", .arrays(names.map { ($0, Self.array) }))])
    let packed = try PackedMessage(FlowerMessage(Self.metadata, .content(content)))
    let message = try FlowerMessage(packed.envelope, objects: packed.objects)
    guard case .content(let back) = message.payload else {
      Issue.record("an error came back")
      return
    }
    #expect(back.arrays()?.map(\.name) == names)
    // Equal arrays are one object.
    #expect(packed.objects.values.count { $0.kind == .array } == 1)
  }

  @Test func `children come before their parents, each once`() throws {
    let packed = try PackedMessage(FlowerMessage(Self.metadata, .content(Self.content)))
    let order = PackedMessage.order(of: packed.tree)
    #expect(Set(order) == Set(packed.objects.keys) && order.count == packed.objects.count)
    for (place, id) in order.enumerated() {
      let children = packed.objects[id]?.children ?? []
      #expect(children.allSatisfy { order[..<place].contains($0) })
    }
  }

  @Test func `beyond the chunk size an array crosses in slices, equal ones once`() throws {
    let size = 3 * FlowerArray.chunkSize
    let array = FlowerArray(bytes: Data(count: size))
    let content = FlowerContent([("parts", .arrays([("0", array)]))])
    let packed = try PackedMessage(FlowerMessage(Self.metadata, .content(content)))
    let chunks = packed.objects.values.filter { $0.kind == .arrayChunk }
    // One with the header, one of zeros that stands for two, and the short one at the end.
    #expect(chunks.count == 3)
    #expect(chunks.allSatisfy { $0.body.count <= FlowerArray.chunkSize })
    let message = try FlowerMessage(packed.envelope, objects: packed.objects)
    guard case .content(let back) = message.payload else {
      Issue.record("an error came back")
      return
    }
    #expect(back.arrays()?.first?.array == array)
  }

  @Test(arguments: [0, 40, 155])
  func `an object with a flipped bit is refused`(place: Int) throws {
    let packed = try PackedMessage(FlowerMessage(Self.metadata, .content(Self.content)))
    let id = "214f7b7511228a7baddcc968d6cf4a265b7a8bc4f7794b65ac850f05b2cab54f"
    var bytes = try #require(packed.objects[id]).bytes
    bytes[place] ^= 1
    #expect(throws: ApusError.self) { try StoredObject(bytes, id: id) }
  }

  @Test func `a message that lacks an object is refused by name`() throws {
    let packed = try PackedMessage(FlowerMessage(Self.metadata, .content(Self.content)))
    for id in packed.objects.keys {
      var objects = packed.objects
      objects[id] = nil
      let error = #expect(throws: ApusError.self) {
        try FlowerMessage(packed.envelope, objects: objects)
      }
      #expect(error?.location.contains(id.prefix(12)) == true)
    }
  }
}
