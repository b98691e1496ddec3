public import ApusBase
public import Foundation

extension Tokenizer {
  /// Reads a tokenizer.json, or the files of a checkpoint that has none.
  ///
  /// Of a folder it takes the first of tokenizer.json, vocab.txt (BERT), merges.txt with vocab.json
  /// (GPT-2 and RoBERTa), and the sentencepiece files tokenizer.model and spiece.model.
  ///
  /// - Parameter url: The file or the folder.
  /// - Throws: ``ApusError`` `.fileAccess` if there is nothing to read, `.invalidFile` if a field
  ///   is missing or wrong, `.unsupported` if the file names a component that Apus lacks.
  public init(contentsOf url: URL) throws(ApusError) {
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
    guard isFolder.boolValue else {
      if url.lastPathComponent.hasSuffix("merges.txt") {
        try self.init(mergesFile: url)
      } else if url.pathExtension == "txt" {
        try self.init(vocabularyFile: url)
      } else if url.pathExtension == "model" {
        try self.init(sentencePieceFile: url)
      } else {
        try self.init(parsing: try CheckpointFile.bytes(of: url), file: url.path)
      }
      return
    }
    let names = ["tokenizer.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model"]
    let candidates = names.map { url.appendingPathComponent($0) }
    guard let file = candidates.first(where: { FileManager.default.fileExists(atPath: $0.path) })
    else {
      throw ApusError(
        .fileAccess, at: url.path, "the folder has none of \(names.joined(separator: ", "))",
        remedy: "Copy the tokenizer's files from the same revision of the checkpoint")
    }
    try self.init(contentsOf: file)
  }

  /// Builds a tokenizer from the bytes of a tokenizer.json.
  ///
  /// - Parameters:
  ///   - data: The document's bytes.
  ///   - file: Name used in errors.
  /// - Throws: ``ApusError`` `.invalidFile` or `.unsupported`, as for a file.
  public init(parsing data: Data, file: String) throws(ApusError) {
    let node = try JSONNode(parsing: data, file: file)
    _ = try node.dictionary()
    let version = node["version"]
    if version.exists, try version.string() != "1.0" {
      throw version.error(
        "expected version 1.0, found \(try version.string())",
        remedy: "Save the tokenizer with a current version of tokenizers")
    }
    let model = try TokenModels.make(reading: node["model"], of: data, file: file)
    let normalizer = try Self.component(node["normalizer"], Normalizers.make)
    self.init(
      truncation: try Self.component(node["truncation"], Truncation.init(reading:)),
      padding: try Self.component(node["padding"], Padding.init(reading:)),
      model: model, normalizer: normalizer,
      preTokenizer: try Self.component(node["pre_tokenizer"], PreTokenizers.make),
      postProcessor: try Self.component(node["post_processor"], PostProcessors.make)
        ?? PlainJoin(),
      decoder: try Self.component(node["decoder"], TokenDecoders.make) ?? SpacedDecoder(),
      added: try AddedTokens(
        Self.declarations(node["added_tokens"]), vocabulary: model.vocabulary,
        normalizer: normalizer))
  }

  /// What `make` reads from `node`, or nil where the file has null or nothing.
  private static func component<Part>(
    _ node: JSONNode, _ make: (JSONNode) throws(ApusError) -> Part
  ) throws(ApusError) -> Part? {
    node.exists ? try make(node) : nil
  }

  private static func declarations(
    _ node: JSONNode
  ) throws(ApusError) -> [AddedTokens.Declaration] {
    var declarations: [AddedTokens.Declaration] = []
    guard node.exists else { return declarations }
    for token in try node.array() {
      declarations.append(
        (try AddedToken(reading: token), try token["id"].tokenID(), token.place))
    }
    return declarations
  }
}
