import ApusBase
import ArgumentParser

/// Measures parts of Apus against floors, in one process and one run.
@main
struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus-bench", abstract: "Measure Apus against the floors of this machine.",
    subcommands: [
      StepBench.self, AggregateBench.self, ServerCostBench.self, ServerCostCell.self,
      LanguageBench.self, TokenizeBench.self,
    ])
}

/// The case of an option that has this name.
///
/// - Throws: `ValidationError` with the names that there are.
func named<Choice: CaseIterable & RawRepresentable<String>>(_ name: String) throws -> Choice {
  guard let choice = Choice(rawValue: name) else {
    throw ValidationError(Spelling.remedy(for: name, allowed: Choice.allCases.map(\.rawValue)))
  }
  return choice
}
