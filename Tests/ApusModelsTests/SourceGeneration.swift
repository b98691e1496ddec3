import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

/// Texts that encoder–decoders write beside a source.
@Suite struct SourceGeneration {
  @Test(
    arguments: EncoderDecoderGolden.names,
    ["greedy", "penalized", "forced", "beams", "short", "long", "forced-beams"])
  func `the same tokens as transformers`(name: String, kind: String) throws {
    let golden = try EncoderDecoderGolden(name)
    var options = GenerationOptions()
    options.maxNewTokens = 9
    options.stopTokens = try golden.file.tensor("stop").ints
    switch kind {
    case "penalized":
      (options.repetitionPenalty, options.noRepeatNgramSize) = (1.3, 2)
      options.minNewTokens = 4
    case "beams": options.numBeams = 3
    case "short":
      (options.numBeams, options.lengthPenalty, options.earlyStopping) = (4, -1, .full)
    case "long":
      (options.numBeams, options.lengthPenalty, options.earlyStopping) = (2, 2, .never)
    case "forced", "forced-beams":
      (options.forcedFirstToken, options.forcedLastToken) = (5, options.stopTokens[0])
      if kind == "forced-beams" { options.numBeams = 3 }
    default: break
    }
    let expected = try golden.file.tensor("generated.\(kind)")
    let found = try golden.model().generate(golden.sources, options)
    #expect(found.count == golden.sources.count)
    for (row, tokens) in found.enumerated() {
      // Behind a stop token transformers pads.
      let wanted = expected[row].ints
      let end = wanted.firstIndex { options.stopTokens.contains($0) } ?? wanted.count - 1
      #expect(tokens == Array(wanted[...end]), "row \(row)")
    }
  }

  @Test(arguments: EncoderDecoderGolden.names)
  func `the memory gives what reading everything again gives`(name: String) throws {
    let golden = try EncoderDecoderGolden(name)
    let model = try golden.model()
    model.globalTokens = 1
    var sources = golden.sources
    var texts = sources.map { _ in [Int]() }
    let start = try model.begin(sources, newTokens: 6)
    let first = start.beginnings.map { $0[0] }
    var logits = start.logits
    for step in 0..<6 {
      // What is written counts from the second token on; mBART reads its last token first.
      let whole = try zip(sources, texts).map { source, text in
        let end = name == "mbart" ? first[0] : 3
        let all = model.evaluatedLogits(try model.batch([source], [text + [end]]))
        return all.sliced(0, text.count..<(text.count + 1))
      }
      expectClose(logits, concatenated(whole), absolute: 1e-5, relative: 1e-4, "step \(step)")
      let tokens = logits.argmax(1).ints
      for row in texts.indices { texts[row].append(tokens[row]) }
      if step == 2 {  // rows in another order, one of them twice
        let order = [3, 0, 0, 2]
        start.memory.select(order)
        (sources, texts) = (order.map { sources[$0] }, order.map { texts[$0] })
        logits = try model.next(after: order.map { tokens[$0] }, start.memory)
      } else {
        logits = try model.next(after: tokens, start.memory)
      }
    }
  }

  @Test(arguments: ["bart", "led"])
  func `more tokens than there are positions are refused`(name: String) throws {
    let golden = try EncoderDecoderGolden(name)
    let model = try golden.model()
    let error = #expect(throws: ApusError.self) { try model.begin([[5]], newTokens: 25) }
    #expect(error?.code == .invalidData)
    #expect(throws: ApusError.self) {
      try model.begin([Array(repeating: 5, count: 25)], newTokens: 1)
    }
  }
}
