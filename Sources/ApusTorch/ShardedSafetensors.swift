public import ApusBase
public import Foundation

/// The weights of a checkpoint folder: one safetensors file, or an index and the shards it names.
///
/// As Hugging Face writes them: `model.safetensors`, or `model.safetensors.index.json` whose
/// `weight_map` gives the shard of every tensor. The single file wins if both are there.
public struct ShardedSafetensors: Sendable {
  /// Names of all tensors, sorted.
  public let names: [String]

  private let shardOfTensor: [String: SafetensorsFile]

  /// Opens the weights of a folder.
  ///
  /// - Parameters:
  ///   - folder: The checkpoint's folder.
  ///   - stem: File name without extension: `model`, or `adapter_model`.
  /// - Throws: ``ApusError`` `.fileAccess` if a file is missing, `.unsupported` if there is only a
  ///   pickle, `.invalidFile` if a file is malformed or names a shard outside of the folder,
  ///   `.checkpointMismatch` if a shard lacks a tensor that the index promises.
  public init(folder: URL, stem: String = "model") throws(ApusError) {
    let single = folder.appendingPathComponent("\(stem).safetensors")
    let index = folder.appendingPathComponent("\(stem).safetensors.index.json")
    if Self.isPresent(single) {
      let file = try SafetensorsFile(contentsOf: single)
      shardOfTensor = Dictionary(uniqueKeysWithValues: file.names.map { ($0, file) })
    } else if Self.isPresent(index) {
      shardOfTensor = try Self.shards(of: index, in: folder)
    } else {
      throw Self.absence(of: stem, in: folder)
    }
    names = shardOfTensor.keys.sorted()
  }

  /// Lengths of a tensor's axes; nil if there is no such tensor.
  public func shape(of name: String) -> [Int]? { shardOfTensor[name]?.shape(of: name) }

  /// Type of a tensor's elements; nil if there is no such tensor.
  public func dtype(of name: String) -> DType? { shardOfTensor[name]?.dtype(of: name) }

  /// A view of one tensor, as ``SafetensorsFile/tensor(_:)`` gives it.
  ///
  /// - Throws: ``ApusError`` `.checkpointMismatch` if there is no such tensor.
  public func tensor(_ name: String) throws(ApusError) -> Tensor {
    guard let shard = shardOfTensor[name] else {
      throw ApusError(
        .checkpointMismatch, at: "weights", "there is no tensor \"\(name)\"",
        remedy: Safetensors.remedy(for: name, in: names))
    }
    return try shard.tensor(name)
  }

  private static func shards(
    of index: URL, in folder: URL
  ) throws(ApusError) -> [String: SafetensorsFile] {
    let map = try JSONNode(contentsOf: index)["weight_map"].dictionary()
    var opened: [String: SafetensorsFile] = [:]
    var shards: [String: SafetensorsFile] = [:]
    for (tensor, node) in map.sorted(by: { $0.key < $1.key }) {
      let name = try node.string()
      guard !name.contains("/"), !name.contains("\0"), !["", ".", ".."].contains(name) else {
        throw node.error(
          "the shard \"\(name)\" is not a file name",
          remedy: "Name a file of the index's own folder")
      }
      let shard: SafetensorsFile
      if let known = opened[name] {
        shard = known
      } else {
        shard = try SafetensorsFile(contentsOf: folder.appending(path: name))
        opened[name] = shard
      }
      guard shard.dtype(of: tensor) != nil else {
        throw ApusError(
          .checkpointMismatch, at: folder.appending(path: name).path,
          "there is no tensor \"\(tensor)\", which the index promises",
          remedy: "Take index and shards from one revision")
      }
      shards[tensor] = shard
    }
    return shards
  }

  private static func absence(of stem: String, in folder: URL) -> ApusError {
    let pickles = [
      "\(stem).bin", "\(stem).bin.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
    ]
    if let pickle = pickles.first(where: { isPresent(folder.appendingPathComponent($0)) }) {
      return ApusError(
        .unsupported, at: folder.appendingPathComponent(pickle).path,
        "the weights are pickled, and a pickle can run code",
        remedy: "Convert them to \(stem).safetensors with save_pretrained of Python's transformers")
    }
    return ApusError(
      .fileAccess, at: folder.path,
      "there is no \(stem).safetensors and no \(stem).safetensors.index.json",
      remedy: "Give the folder of a checkpoint in the format of Hugging Face")
  }

  private static func isPresent(_ url: URL) -> Bool {
    FileManager.default.fileExists(atPath: url.path)
  }
}
