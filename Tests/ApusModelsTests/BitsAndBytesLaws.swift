import ApusBase
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

/// Checkpoints as bitsandbytes packs them, made here by its format.
@Suite struct BitsAndBytesLaws {
  private let golden: DecoderGolden
  init() throws { golden = try DecoderGolden("llama") }

  /// A packed matrix under the names of bitsandbytes, and what its elements are.
  private struct Packed {
    var tensors: [(String, Tensor)]
    let elements: Tensor
  }

  private func eightBits(_ name: String, _ weight: Tensor) -> Packed {
    let largest = weight.magnitude.max([1], keepDims: true)
    let codes = (weight / largest * 127).rounded.to(.int8)
    return Packed(
      tensors: [
        (name, codes), (String(name.dropLast(7)) + ".SCB", largest.reshaped([-1])),
        (String(name.dropLast(7)) + ".weight_format", Tensor.zeros([1], dtype: .uint8)),
      ], elements: codes.to(.float32) * largest / 127)
  }

  /// Random codes; what they stand for follows from the format alone.
  private func fourBits(_ name: String, _ weight: Tensor, isNested: Bool) throws -> Packed {
    var random = RandomStream(seed: 5).substream(name)
    let (count, block) = (weight.count, 64)
    let values = (0..<16).map { Float($0) / 8 - 1 }
    let codes = (0..<count).map { _ in random.integer(below: 16) }
    let blocks = (count + block - 1) / block
    var state: [String: Any] = [
      "quant_type": "nf4", "blocksize": block, "shape": weight.shape, "dtype": "float32",
    ]
    var tensors: [(String, Tensor)] = [
      (
        name,
        Tensor(
          stride(from: 0, to: count, by: 2).map { codes[$0] * 16 + codes[$0 + 1] },
          shape: [count / 2, 1]
        ).to(.uint8)
      ), ("\(name).quant_map", Tensor(values, shape: [16])),
    ]
    var scales = (0..<blocks).map { _ in Float(random.uniform()) * 0.3 }
    if isNested {
      let marks = (0..<blocks).map { _ in random.integer(below: 256) }
      let map = (0..<256).map { Float($0) / 255 }
      (state["nested_blocksize"], state["nested_offset"]) = (8, 0.05)
      state["nested_dtype"] = "float32"
      let groups = (0..<((blocks + 7) / 8)).map { _ in Float(random.uniform()) * 0.3 }
      scales = marks.enumerated().map { map[$1] * groups[$0 / 8] + 0.05 }
      tensors += [
        ("\(name).absmax", Tensor(marks, shape: [blocks]).to(.uint8)),
        ("\(name).nested_quant_map", Tensor(map, shape: [256])),
        ("\(name).nested_absmax", Tensor(groups, shape: [groups.count])),
      ]
    } else {
      tensors.append(("\(name).absmax", Tensor(scales, shape: [blocks])))
    }
    let json = try JSONSerialization.data(withJSONObject: state)
    tensors.append(
      (
        "\(name).quant_state.bitsandbytes__nf4",
        Tensor(json.map { Int($0) }, shape: [json.count]).to(.uint8)
      ))
    let elements = codes.enumerated().map { values[$1] * scales[$0 / block] }
    return Packed(tensors: tensors, elements: Tensor(elements, shape: weight.shape))
  }

  /// A copy of the checkpoint with other tensors.
  private func copy(
    to folder: URL, _ tensors: [(String, Tensor)], method: String = "bitsandbytes"
  ) throws -> Backbone {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let source = golden.folder.appending(path: "tiny/config.json")
    let json = try JSONSerialization.jsonObject(with: Data(contentsOf: source))
    var fields = try #require(json as? [String: Any])
    fields["quantization_config"] = ["quant_method": method]
    try JSONSerialization.data(withJSONObject: fields)
      .write(to: folder.appending(path: "config.json"))
    try Safetensors.write(
      tensors.map { (name: $0.0, tensor: $0.1) },
      to: folder.appending(path: "model.safetensors"))
    return try Backbone(Checkpoint(folder: folder))
  }

  @Test(arguments: ["int8", "nf4", "nested nf4"])
  func `a packed checkpoint gives what its elements give`(kind: String) throws {
    let stored = try ShardedSafetensors(folder: golden.folder.appending(path: "tiny"))
    var (packed, plain): ([(String, Tensor)], [(String, Tensor)]) = ([], [])
    for name in stored.names {
      let tensor = try stored.tensor(name)
      guard name.hasSuffix("_proj.weight") else {
        packed.append((name, tensor))
        plain.append((name, tensor))
        continue
      }
      let matrix =
        try kind == "int8"
        ? eightBits(name, tensor) : fourBits(name, tensor, isNested: kind == "nested nf4")
      packed += matrix.tensors
      plain.append((name, matrix.elements))
    }
    try withTemporaryFolder { parent in
      let small = try copy(to: parent.appending(path: "packed"), packed)
      let large = try copy(to: parent.appending(path: "plain"), plain)
      #expect(small.byteCount < large.byteCount && small.elementCount == large.elementCount)
      let batch = try golden.batch("right")
      expectClose(
        try small.makeLanguageModel().evaluatedLogits(batch),
        try large.makeLanguageModel().evaluatedLogits(batch), absolute: 1e-5, relative: 1e-4)
      // Written out again, it is a plain checkpoint.
      let folder = parent.appending(path: "written")
      try small.makeLanguageModel().write(to: folder, like: small.checkpoint)
      let again = try Checkpoint(folder: folder)
      #expect(!again.config["quantization_config"].exists)
      _ = try Backbone(again).makeLanguageModel()
    }
  }

  @Test func `rows in the order of an accelerator are refused, by the name of what says so`() throws
  {
    let stored = try ShardedSafetensors(folder: golden.folder.appending(path: "tiny"))
    let name = "model.layers.0.mlp.up_proj.weight"
    let format = "model.layers.0.mlp.up_proj.weight_format"
    let others = try stored.names.filter { $0 != name }.map { ($0, try stored.tensor($0)) }
    let packed = try eightBits(name, stored.tensor(name)).tensors
    try withTemporaryFolder { folder in
      for code in [1, 2, 3] {
        let turned = packed.map { key, tensor in
          (key, key == format ? Tensor([code], shape: [1]).to(.uint8) : tensor)
        }
        let error = #expect(throws: ApusError.self) {
          try copy(to: folder.appending(path: "\(code)"), others + turned).makeLanguageModel()
        }
        #expect(error?.code == .unsupported && error?.location == format)
      }
      // Old checkpoints say nothing, and mean rows.
      let silent = packed.filter { $0.0 != format }
      _ = try copy(to: folder.appending(path: "old"), others + silent).makeLanguageModel()
    }
  }

  @Test func `parts that do not fit, and other kinds of packing, are named`() throws {
    let stored = try ShardedSafetensors(folder: golden.folder.appending(path: "tiny"))
    let name = "model.layers.0.mlp.up_proj.weight"
    let others = try stored.names.filter { $0 != name }.map { ($0, try stored.tensor($0)) }
    let whole = try fourBits(name, stored.tensor(name), isNested: true).tensors
    try withTemporaryFolder { folder in
      for part in ["absmax", "quant_map", "nested_absmax", "nested_quant_map"] {
        let broken = whole.map { key, tensor in
          key.hasSuffix(".\(part)") ? (key, tensor.sliced(0, 0..<1)) : (key, tensor)
        }
        let error = #expect(throws: ApusError.self) {
          try copy(to: folder.appending(path: part), others + broken).makeLanguageModel()
        }
        #expect(error?.location == name)
      }
      let other = #expect(throws: ApusError.self) {
        try copy(to: folder.appending(path: "gptq"), others + whole, method: "gptq")
      }
      #expect(other?.code == .unsupported)
    }
  }
}
