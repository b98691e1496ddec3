import ApusBase
import ApusModels
import ApusTestSupport
import ApusTorch
import Testing

@Suite struct GenerationLaws {
  private func prompts(_ golden: DecoderGolden) throws -> [[Int]] {
    try golden.values("left.ids", at: golden.places("left"))
  }

  private func options(
    _ golden: DecoderGolden, _ change: (inout GenerationOptions) -> Void = { _ in }
  ) throws -> GenerationOptions {
    var options = GenerationOptions()
    options.maxNewTokens = 9
    options.stopTokens = try golden.file.tensor("stop").ints
    change(&options)
    return options
  }

  @Test(arguments: DecoderGolden.names, ["greedy", "penalized", "beams", "short", "long"])
  func `the same tokens as transformers`(name: String, kind: String) throws {
    let golden = try DecoderGolden(name)
    let options = try options(golden) {
      switch kind {
      case "penalized":
        ($0.repetitionPenalty, $0.noRepeatNgramSize, $0.minNewTokens) = (1.3, 2, 4)
      case "beams": $0.numBeams = 3
      case "short": ($0.numBeams, $0.lengthPenalty, $0.earlyStopping) = (4, -1, .full)
      case "long": ($0.numBeams, $0.lengthPenalty, $0.earlyStopping) = (2, 2, .never)
      default: break
      }
    }
    let expected = try golden.file.tensor("generated.\(kind)")
    let found = try golden.model().generate(prompts(golden), options)
    for (row, tokens) in found.enumerated() {
      // Behind a stop token transformers pads.
      let wanted = expected[row].ints
      let end = wanted.firstIndex { options.stopTokens.contains($0) } ?? wanted.count - 1
      #expect(tokens == Array(wanted[...end]), "row \(row)")
    }
  }

  @Test(arguments: DecoderGolden.names)
  func `the memory gives what reading everything again gives`(name: String) throws {
    let golden = try DecoderGolden(name)
    let model = try golden.model()
    let prompts = try prompts(golden)
    var texts = prompts
    let start = try model.begin(prompts, newTokens: 6)
    var logits = start.logits
    for step in 0..<6 {
      let whole = try texts.map { text in
        let all = model.evaluatedLogits(try TokenBatch([text]))
        return all.sliced(0, (text.count - 1)..<text.count)
      }
      expectClose(logits, concatenated(whole), absolute: 1e-5, relative: 1e-4, "step \(step)")
      let tokens = logits.argmax(1).ints
      for row in texts.indices { texts[row].append(tokens[row]) }
      if step == 2 {  // rows in another order, one of them twice
        let order = [3, 0, 0, 2]
        start.memory.select(order)
        texts = order.map { texts[$0] }
        logits = try model.next(after: order.map { tokens[$0] }, start.memory)
      } else {
        logits = try model.next(after: tokens, start.memory)
      }
    }
  }

  @Test(arguments: ["llama", "gemma2", "gpt2"])
  func `a row's sample is its own, whatever stands beside it`(name: String) throws {
    let golden = try DecoderGolden(name)
    let model = try golden.model()
    let prompts = try prompts(golden)
    let options = try options(golden) {
      ($0.doSample, $0.topK, $0.temperature) = (true, 0, 1.5)
    }
    let random = RandomStream(seed: 7)
    let together = try model.generate(prompts, options, random: random)
    #expect(try model.generate([prompts[0]], options, random: random) == [together[0]])
    #expect(try model.generate(prompts, options, random: random) == together)
    #expect(
      try model.generate(prompts, options, random: RandomStream(seed: 8)) != together)
  }

  @Test func `one likeliest token, or the smallest share, leave nothing to chance`() throws {
    let golden = try DecoderGolden("llama")
    let model = try golden.model()
    let prompts = try prompts(golden)
    let greedy = try model.generate(prompts, options(golden))
    for change in [
      { (o: inout GenerationOptions) in o.topK = 1 }, { $0.topP = 1e-6 }, { $0.temperature = 1e-4 },
    ] {
      let options = try options(golden) {
        $0.doSample = true
        change(&$0)
      }
      #expect(try model.generate(prompts, options, random: RandomStream(seed: 3)) == greedy)
    }
  }

  @Test func `forced tokens stand first and last`() throws {
    let golden = try DecoderGolden("gpt2")
    let options = try options(golden) {
      ($0.forcedFirstToken, $0.forcedLastToken, $0.stopTokens) = (5, 6, [])
    }
    for tokens in try golden.model().generate(prompts(golden), options) {
      #expect(tokens.first == 5 && tokens.last == 6 && tokens.count == 9)
    }
  }

  @Test func `impossible options and prompts are answered`() throws {
    let golden = try DecoderGolden("gpt2")
    let model = try golden.model()
    #expect(throws: ApusError.self) { try model.generate([[]]) }
    #expect(throws: ApusError.self) { try model.generate([[64]]) }
    #expect(try model.generate([]).isEmpty)
    let long = #expect(throws: ApusError.self) {
      try model.generate([Array(repeating: 5, count: 50)])
    }
    #expect(long?.problem.contains("64") == true)
    for change in [
      { (o: inout GenerationOptions) in o.maxNewTokens = 0 }, { $0.temperature = 0 },
      { $0.topP = 0 }, { $0.topK = -1 }, { $0.numBeams = 0 },
      { ($0.numBeams, $0.doSample) = (2, true) }, { $0.repetitionPenalty = 0 },
      { $0.minNewTokens = 99 },
    ] {
      let options = try options(golden, change)
      let error = #expect(throws: ApusError.self) { try model.generate([[5]], options) }
      #expect(error?.code == .invalidConfig)
    }
  }
}
