import ArgumentParser

/// Measures parts of Apus against floors, in one process and one run.
@main
struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus-bench", abstract: "Measure Apus against the floors of this machine.",
    subcommands: [
      StepBench.self, AggregateBench.self, ServerCostBench.self, ServerCostCell.self,
      LanguageBench.self,
    ])
}
