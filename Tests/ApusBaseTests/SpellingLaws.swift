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

  @Test(arguments: [
    ("localEpochs", "local-epochs"), ("local_epochs", "local-epochs"),
    ("local-epochs", "local-epochs"), ("beta1", "beta1"), ("rank", "rank"), ("", ""),
  ])
  func `files write a property in kebab case`(name: String, written: String) {
    #expect(Spelling.kebab(name) == written)
    #expect(Spelling.kebab(written) == written)
  }

  @Test(arguments: 0..<100 as Range<UInt64>)
  func `one slip of the finger in a longer word does not hide it`(seed: UInt64) {
    let words = ["learning-rate", "batch-size", "local-epochs", "momentum", "dirichlet"]
    var stream = RandomStream(seed: seed)
    let meant = words[stream.integer(below: words.count)]
    var typed = Array(meant)
    let place = stream.integer(below: typed.count - 1)
    switch stream.integer(below: 4) {
    case 0: typed.remove(at: place)
    case 1: typed.insert("x", at: place)
    case 2: typed[place] = "y"
    default: typed.swapAt(place, place + 1)
    }
    #expect(Spelling.suggestion(for: String(typed), in: words) == meant)
    #expect(Spelling.suggestion(for: meant.uppercased(), in: words) == meant)
  }

  @Test func `without words, or without a word, there is nothing to suggest`() {
    #expect(Spelling.suggestion(for: "rank", in: []) == nil)
    #expect(Spelling.suggestion(for: "", in: ["rank"]) == nil)
  }
}
