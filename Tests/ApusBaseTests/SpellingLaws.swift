import ApusBase
import Testing

@Suite struct SpellingLaws {
  @Test(arguments: [
    ("rnak", "rank"), ("lora_rank", "lora-rank"), ("dirichlet-by-clas", "dirichlet-by-class"),
  ])
  func `a misspelling finds its word`(misspelt: String, meant: String) {
    let words = ["alpha", "rank", "lora-rank", "dirichlet-by-client", "dirichlet-by-class"]
    #expect(Spelling.suggestion(for: misspelt, in: words) == meant)
  }

  @Test func `a word that is far from all finds none`() {
    #expect(Spelling.suggestion(for: "zebra", in: ["rank", "alpha"]) == nil)
    #expect(Spelling.remedy(for: "zebra", allowed: ["rank"]) == "Allowed: rank")
  }
}
