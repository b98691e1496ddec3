import ApusBase
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

/// One tensor of every dtype, with numbers that each of them can hold.
private let everyDType: [(name: String, tensor: Tensor)] = DType.allCases.map {
  ($0.rawValue, Tensor([0, 1, 2, 3, 5, 100], shape: [2, 3]).to($0))
}

@Suite struct SafetensorsLaws {
  @Test(arguments: DType.allCases)
  func `every bit of every dtype comes back from bytes and from a file`(dtype: DType) throws {
    let sent: [(name: String, tensor: Tensor)] = [
      ("z", drawn([7, 3], seed: 1, deviation: 50).to(dtype)), ("scalar", Tensor.ones([]).to(dtype)),
      ("empty", Tensor.zeros([0, 4], dtype: dtype)), ("ä \"\\\n\u{1}", Tensor.ones([1]).to(dtype)),
    ]
    let text = ["note": "line\n\"quoted\" \\ ü"]
    let decoded = try SafetensorsFile(
      decoding: try Safetensors.encode(sent, metadata: text), name: "bytes")
    let mapped = try withTemporaryFolder { folder in
      let url = folder.appending(path: "a.safetensors")
      try Safetensors.write(sent, metadata: text, to: url)
      return try SafetensorsFile(contentsOf: url)
    }
    for file in [decoded, mapped] {
      #expect(file.metadata == text)
      #expect(file.names == sent.map(\.name).sorted())
      for (name, tensor) in sent {
        #expect(try file.tensor(name).isIdentical(to: tensor))
        #expect(file.shape(of: name) == tensor.shape)
        #expect(file.dtype(of: name) == dtype)
      }
    }
  }

  @Test func `the order in which tensors are given changes no byte, and views are aligned`() throws
  {
    let bytes = try Safetensors.encode(everyDType)
    #expect(try Safetensors.encode(everyDType.reversed()) == bytes)
    let headerLength = bytes.prefix(8).enumerated().reduce(0) {
      $0 + Int($1.element) << (8 * $1.offset)
    }
    #expect(headerLength.isMultiple(of: 8))
    let file = try SafetensorsFile(decoding: bytes, name: "bytes")
    for (name, tensor) in everyDType { #expect(try file.tensor(name).isIdentical(to: tensor)) }
  }

  @Test func `a view outlives its file and writing into it changes neither disk nor copies`() throws
  {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "a.safetensors")
      try Safetensors.write([("w", Tensor.ones([1_000]))], to: url)
      let before = try Data(contentsOf: url)
      let view = try SafetensorsFile(contentsOf: url).tensor("w")
      try FileManager.default.removeItem(at: url)
      try before.write(to: url)
      view.scaleInPlace(3)
      #expect(view.sum().item == 3_000)
      #expect(try Data(contentsOf: url) == before)
      try Tensor.check()
    }
  }

  @Test func `writing replaces a file whole, and failing leaves the old one and no draft`() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "a.safetensors")
      try Safetensors.write([("w", Tensor.ones([2]))], to: url)
      try Safetensors.write([("w", Tensor.zeros([2]))], to: url)
      #expect(try SafetensorsFile(contentsOf: url).tensor("w").floats == [0, 0])
      #expect(throws: ApusError.self) {
        try Safetensors.write([("w", Tensor.ones([1])), ("w", Tensor.ones([1]))], to: url)
      }
      let directory = folder.appending(path: "full")
      try FileManager.default.createDirectory(
        at: directory.appending(path: "x"), withIntermediateDirectories: true)
      #expect(throws: ApusError.self) {
        try Safetensors.write([("w", Tensor.ones([1]))], to: directory)
      }
      #expect(throws: ApusError.self) {
        try Safetensors.write([("w", Tensor.ones([1]))], to: folder.appending(path: "no/a"))
      }
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
          == ["a.safetensors", "full"])
      #expect(try SafetensorsFile(contentsOf: url).tensor("w").floats == [0, 0])
    }
  }

  @Test func `a failed tensor is refused and its failure reported`() throws {
    let error = #expect(throws: ApusError.self) {
      try Safetensors.encode([("w", matmul(Tensor.ones([2]), Tensor.ones([3])))])
    }
    #expect(error?.location == "tensor \"w\"")
    try Tensor.check()
  }
}

@Suite struct SafetensorsAndPython {
  @Test func `a file that Python wrote opens with the same numbers`() throws {
    let file = try SafetensorsFile(contentsOf: fixtures.appending(path: "python.safetensors"))
    #expect(file.metadata == ["format": "pt", "quoted": "a \"b\" \\ \n ü"])
    let spelled: [String: DType] = [
      "F64": .float64, "F32": .float32, "F16": .float16, "BF16": .bfloat16, "I64": .int64,
      "I32": .int32, "I16": .int16, "I8": .int8, "U8": .uint8, "BOOL": .bool,
    ]
    for (name, dtype) in spelled {
      let tensor = try file.tensor(name)
      #expect(tensor.dtype == dtype)
      #expect(tensor.doubles == (dtype == .bool ? [0, 1, 1, 1, 1, 1] : [0, 1, 2, 3, 5, 100]))
    }
    #expect(try file.tensor("scalar").item == 2.5)
    #expect(try file.tensor("empty").shape == [0, 4])
    #expect(try file.tensor("größe 📏").floats == [0, 1, 2])
    #expect(file.names.count == 13)
  }

  @Test(.enabled(if: Oracle.isPresent, "needs .venv-oracle"))
  func `a file that Apus wrote opens in Python with the same numbers`() throws {
    try withTemporaryFolder { folder in
      let url = folder.appending(path: "swift.safetensors")
      try Safetensors.write(everyDType, metadata: ["note": "ü \"q\""], to: url)
      let output = try Oracle.run([
        "-c",
        """
        import sys
        from safetensors import safe_open
        with safe_open(sys.argv[1], "pt") as file:
            print(file.metadata()["note"])
            for name in sorted(file.keys()):
                tensor = file.get_tensor(name)
                print(name, str(tensor.dtype)[6:], *[int(x) for x in tensor.flatten()])
        """, url.path,
      ])
      let expected = DType.allCases.map(\.rawValue).sorted().map {
        "\($0) \($0) " + ($0 == "bool" ? "0 1 1 1 1 1" : "0 1 2 3 5 100")
      }
      #expect(output == (["ü \"q\""] + expected).joined(separator: "\n") + "\n")
    }
  }
}
