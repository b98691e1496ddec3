import ApusBase
import Testing

@testable import ApusFlower

/// What a run sets for clients ends where their machines begin.
@Suite struct OverrideLaws {
  @Test(arguments: [
    "apus.folder", "apus.data", "apus.model", "apus.data.train", "apus.Data.train",
    "apus.model.checkpoint", "apus.Model", "apus.Folder",
    "apus.data={train: elsewhere.jsonl}", "apus.folder=/", "apus.data.partition.file",
  ])
  func `a run has no say in what a client reads, in whatever form it asks`(key: String) {
    let error = #expect(throws: ApusError.self) { try RunOverrides.requireLocal([key: .init()]) }
    #expect(error?.code == .invalidConfig && error?.location.hasSuffix(key) == true)
  }

  @Test(arguments: [
    "apus.federation.rounds", "apus.training.learning-rate", "apus.modelling", "data.train",
    "folder", "num-server-rounds", "apus.", "apus",
  ])
  func `what others mean, or what training does, is none of it`(key: String) throws {
    try RunOverrides.requireLocal([key: .init()])
  }
}
