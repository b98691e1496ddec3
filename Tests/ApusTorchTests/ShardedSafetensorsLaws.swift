import ApusBase
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@Suite struct ShardedSafetensorsLaws {
  private func write(index: String, in folder: URL) throws {
    try Data(index.utf8).write(to: folder.appending(path: "model.safetensors.index.json"))
  }

  @Test func `a single file and shards with an index give the same tensors`() throws {
    let (a, b) = (Tensor.ones([2]), Tensor.zeros([3, 1], dtype: .bfloat16))
    try withTemporaryFolder { folder in
      let single = folder.appending(path: "adapter_model.safetensors")
      try Safetensors.write([("a", a), ("b", b)], to: single)
      try Safetensors.write([("a", a)], to: folder.appending(path: "1.safetensors"))
      try Safetensors.write([("b", b)], to: folder.appending(path: "2.safetensors"))
      try write(
        index: "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}", in: folder)
      for stem in ["model", "adapter_model"] {
        let weights = try ShardedSafetensors(folder: folder, stem: stem)
        #expect(weights.names == ["a", "b"])
        #expect(try weights.tensor("a").isIdentical(to: a))
        #expect(try weights.tensor("b").isIdentical(to: b))
        #expect(weights.shape(of: "b") == [3, 1])
        #expect(weights.dtype(of: "b") == .bfloat16)
        #expect(throws: ApusError.self) { try weights.tensor("c") }
      }
    }
  }

  @Test(arguments: ["../x.safetensors", "/etc/passwd", "", ".", "..", "sub/x.safetensors"])
  func `a shard outside of the folder is refused`(shard: String) throws {
    try withTemporaryFolder { folder in
      try write(index: "{\"weight_map\":{\"a\":\"\(shard)\"}}", in: folder)
      let error = #expect(throws: ApusError.self) { try ShardedSafetensors(folder: folder) }
      #expect(error?.code == .invalidFile)
      #expect(error?.location.contains("weight_map.a") == true)
    }
  }

  @Test func `missing shards, missing tensors and broken indices are named`() throws {
    try withTemporaryFolder { folder in
      try write(index: "{\"weight_map\":{\"a\":\"1.safetensors\"}}", in: folder)
      let missing = #expect(throws: ApusError.self) { try ShardedSafetensors(folder: folder) }
      #expect(missing?.location.hasSuffix("1.safetensors") == true)
      try Safetensors.write([("b", Tensor.ones([1]))], to: folder.appending(path: "1.safetensors"))
      let promised = #expect(throws: ApusError.self) { try ShardedSafetensors(folder: folder) }
      #expect(promised?.code == .checkpointMismatch)
      try write(index: "{\"weight_map\":[]}", in: folder)
      #expect(throws: ApusError.self) { try ShardedSafetensors(folder: folder) }
    }
  }

  @Test func `a pickle is answered with the way to convert it`() throws {
    try withTemporaryFolder { folder in
      let nothing = #expect(throws: ApusError.self) { try ShardedSafetensors(folder: folder) }
      #expect(nothing?.code == .fileAccess)
      try Data([0x80]).write(to: folder.appending(path: "pytorch_model.bin"))
      let error = #expect(throws: ApusError.self) { try ShardedSafetensors(folder: folder) }
      #expect(error?.code == .unsupported)
      #expect(error?.remedy.contains("safetensors") == true)
    }
  }
}
