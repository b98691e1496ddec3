import ApusBase
import ApusExperiments
import ApusModels
import ApusTestSupport
import ApusTokenizers
import ApusTorch
import ApusTraining
import Foundation
import Testing

@Suite struct TextGeneratorLaws {
  private func withDecoder(_ body: (URL) throws -> Void) throws {
    try withTemporaryFolder { folder in
      try TinyDecoder.write(to: folder)
      try body(folder)
    }
  }

  @Test func `prompts that go through in other batches give the same texts`() throws {
    try withDecoder { folder in
      let generator = try TextGenerator(folder)
      let prompts = ["ship", "old seed", "the bow", "near", "a deck of", "soil"]
        .map { TextGenerator.Prompt.text($0) }
      var options = generator.defaults
      #expect(options.stopTokens == [3])
      for isSampled in [false, true] {
        (options.doSample, options.maxNewTokens) = (isSampled, 6)
        let one = try generator.generate(prompts, options, seed: 4, batchSize: 1)
        let four = try generator.generate(prompts, options, seed: 4, batchSize: 4)
        #expect(one == four)
        #expect(one.allSatisfy { $0.text != nil && (1...6).contains($0.tokens.count) })
      }
    }
  }

  @Test func `instructions take the template, and tokens need no tokenizer`() throws {
    try withDecoder { folder in
      let generator = try TextGenerator(folder)
      var options = generator.defaults
      options.maxNewTokens = 4
      let asked = try generator.generate(
        [.instruction("old ship", input: nil)], options, template: .plain)
      let ids = try Tokenizer(contentsOf: folder).encode("old ship", padding: .off).ids.dropLast()
      #expect(try generator.generate([.tokens(Array(ids))], options) == asked)
      #expect(throws: ApusError.self) {
        try generator.generate([.instruction("a", input: nil)], options, template: nil)
      }
      try FileManager.default.removeItem(at: folder.appending(path: "tokenizer.json"))
      let bare = try TextGenerator(folder)
      #expect(try bare.generate([.tokens(Array(ids))], options)[0].tokens == asked[0].tokens)
      let error = #expect(throws: ApusError.self) { try bare.generate([.text("a")], options) }
      #expect(error?.remedy.contains("input_ids") == true)
    }
  }

  @Test func `the checkpoint's generation settings are the defaults`() throws {
    try withDecoder { folder in
      let file = folder.appending(path: "generation_config.json")
      try Data(
        #"{"eos_token_id": [3, 5], "do_sample": true, "temperature": 0.6, "top_p": 0.9, "num_beams": 1, "early_stopping": "never", "max_new_tokens": 7}"#
          .utf8
      ).write(to: file)
      let defaults = try TextGenerator(folder).defaults
      #expect(defaults.stopTokens == [3, 5] && defaults.doSample && defaults.maxNewTokens == 7)
      #expect(defaults.temperature == 0.6 && defaults.topP == 0.9 && defaults.topK == 50)
      #expect(defaults.earlyStopping == .never)
      try Data(#"{"top_k": "many"}"#.utf8).write(to: file)
      let error = #expect(throws: ApusError.self) { try TextGenerator(folder) }
      #expect(error?.location.contains("top_k") == true)
    }
  }

  /// Files with masks of every form, and what transformers made of them.
  @Test(arguments: ["llama", "mistral", "gemma2", "gpt2"], ["right", "left", "gaps"])
  func `apus logits matches transformers at every token and is zero elsewhere`(
    name: String, padding: String
  ) throws {
    let fixture = packageRoot.appending(path: "Tests/Fixtures/decoders/\(name)")
    let golden = try SafetensorsFile(contentsOf: fixture.appending(path: "reference.safetensors"))
    let folder = try TemporaryFolder()
    let (input, output) = (folder("in"), folder("out"))
    let mask = try golden.tensor("\(padding).mask")
    try Safetensors.write(
      [("input_ids", try golden.tensor("\(padding).ids")), ("attention_mask", mask)], to: input)
    try ModelProbe.writeOutputs(
      checkpoint: fixture.appending(path: "tiny"), adapter: nil, input: input, output: output)
    let logits = try SafetensorsFile(contentsOf: output).tensor("logits")
    let expected = try golden.tensor("\(padding).logits") * mask.to(.float32).unsqueezed(2)
    expectClose(logits, expected, absolute: 1e-5, relative: 1e-4, "logits")
  }

  @Test(
    .enabled(
      if: FileManager.default.fileExists(
        atPath: packageRoot.appending(path: "../shared/models/pico-llama").path),
      "needs ../shared"))
  func `a pretrained LLaMA gives transformers' logits, losses and texts`() throws {
    let fixture = packageRoot.appending(path: "Tests/Fixtures/pico_llama")
    let golden = try SafetensorsFile(contentsOf: fixture.appending(path: "reference.safetensors"))
    let texts = try JSONNode(contentsOf: fixture.appending(path: "texts.json"))
    let folder = packageRoot.appending(path: "../shared/models/pico-llama")
    let prompts = try texts["prompts"].array().map { try $0.string() }
    let tokenizer = try Tokenizer(contentsOf: folder)
    let model = try Backbone(Checkpoint(folder: folder)).makeLanguageModel()
    for (row, prompt) in prompts.enumerated() {
      let ids = try tokenizer.encode(prompt, padding: .off).ids
      let batch = try TokenBatch([ids])
      let last = model.evaluatedLogits(batch)[ids.count - 1]
      let expected = try golden.tensor("last_logits")[row]
      let worst = (last - expected).magnitude.max().item / expected.magnitude.max().item
      #expect(worst < 1e-4)
      let targets = CausalLanguageModel.targets([ids])
      guard ids.count > 1 else { continue }
      let loss = withoutGradient { model.loss(batch, targets: targets, random: nil).item }
      #expect(try abs(loss - golden.tensor("losses")[row].item) < 1e-4)
    }
    let generator = try TextGenerator(folder)
    for name in ["greedy", "beams"] {
      var options = generator.defaults
      options.maxNewTokens = 16
      if name == "beams" { (options.numBeams, options.lengthPenalty) = (4, 0.8) }
      let outputs = try generator.generate(prompts.map { .text($0) }, options)
      #expect(try outputs.map(\.text) == texts[name].array().map { try $0.string() }, "\(name)")
    }
  }
}
