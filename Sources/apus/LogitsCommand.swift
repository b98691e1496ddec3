import ApusBase
import ApusExperiments
import ArgumentParser
import Foundation

/// `apus logits`: the black-box way to compare a model with Python.
struct LogitsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logits",
    abstract: "Run token ids through a checkpoint and write its logits.",
    discussion: """
      The input is a safetensors file with input_ids [B, L] (int64) and, if wanted, \
      attention_mask and token_type_ids of the same shape. The output has logits [B, C] of a \
      classifier or [B, L, V] of a language model; for a checkpoint without a head \
      last_hidden_state [B, L, D], and pooler_output [B, D] if it has a pooler. Values at masked \
      places are zero. Decoders take masks of any form; encoders, padding on the right.
      """)

  @Argument(help: "A checkpoint folder or name.")
  var checkpoint: String

  @Option(help: "An adapter folder, as Hugging Face PEFT writes it.")
  var adapter: String?

  @Option(help: "Safetensors file with input_ids.")
  var input: String

  @Option(help: "Safetensors file to write.")
  var out: String

  func run() throws {
    let here = URL(fileURLWithPath: FileManager.default.currentDirectoryPath)
    let folder = try CheckpointLocator.folder(of: checkpoint, from: here)
    try ModelProbe.writeOutputs(
      checkpoint: folder, adapter: adapter.map { URL(fileURLWithPath: $0) },
      input: URL(fileURLWithPath: input), output: URL(fileURLWithPath: out))
  }
}
