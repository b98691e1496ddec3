import ApusModels
import ApusReports
import ArgumentParser

/// `apus models`: the architectures, what they can do, and where adapters act by custom.
struct ModelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "List the architectures with their tasks and customary targets of adapters.",
    discussion: """
      Targets are those that Python's PEFT takes where nothing is said; – where it has none. \
      Bottleneck adapters, prompts and prefixes act at every block of every architecture.
      """)

  @ArgumentParser.OptionGroup var format: FormatArguments

  func run() throws {
    var table = Table([
      .init("model_type"), .init("tasks"), .init("LoRA targets", key: "lora_targets"),
      .init("IA3 targets", key: "ia3_targets"),
      .init("IA3 feed-forward", key: "ia3_feed_forward"),
    ])
    for architecture in ModelCatalog.all {
      let lists = [
        architecture.tasks, architecture.defaultTargets, architecture.ia3Targets,
        architecture.ia3FeedForward,
      ]
      table.append(
        [.text(architecture.modelType)]
          + lists.map { .text($0.isEmpty ? "–" : $0.joined(separator: ", ")) })
    }
    format.show(table)
  }
}
