import ApusBase
import ApusDatasets
import ApusTestSupport
import ApusTokenizers
import ApusTorch
import Foundation
import Testing

@testable import ApusTraining

@Suite struct PromptLaws {
  @Test func `named templates put instruction and input in their places`() throws {
    let (with, _) = PromptTemplate.alpaca.filled(instruction: "Add.", input: "1 2")
    #expect(with.contains("### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n"))
    #expect(with.hasPrefix("Below is") && with.contains("paired with an input"))
    for input in [nil, ""] {
      let (without, ending) = PromptTemplate.alpacaShort.filled(instruction: "Add.", input: input)
      #expect(without == "### Instruction:\nAdd.\n\n### Response:\n" && ending.isEmpty)
    }
    #expect(PromptTemplate.plain.filled(instruction: "a", input: "b").prompt == "a\nb\n")
  }

  @Test func `texts that look like fields are not filled in`() throws {
    let template = try PromptTemplate("Q {instruction} / {input} A {response}.")
    let (prompt, ending) = template.filled(
      instruction: "{input} {response}", input: "{instruction}")
    #expect(prompt == "Q {input} {response} / {instruction} A " && ending == ".")
  }

  @Test(arguments: [
    "no field", "{instruction} alone", "{response} {instruction}",
    "{instruction} {response} {response}", "{instruction} {response} {input}",
  ])
  func `a template without its fields is refused`(text: String) {
    let error = #expect(throws: ApusError.self) { try PromptTemplate(text) }
    #expect(error?.code == .invalidConfig)
  }

  /// Rows of one question with an answer, by the tiny tokenizer: [CLS] 2, [SEP] 3.
  private func rows(
    _ question: String, _ answer: String?, maxLength: Int = 99, responseOnly: Bool = true
  ) throws -> TokenizedRows {
    try withTemporaryFolder { folder in
      try TinyDecoder.write(to: folder)
      let format = PromptFormat(
        .template(.plain), tokenizer: try Tokenizer(contentsOf: folder), endToken: 3)
      let place = SourcePlace(file: "a", line: 1)
      let data = try Dataset(
        name: "a", examples: [Example(text: question, response: answer, source: place)])
      return try TokenizedRows(
        data, format: format, maxLength: maxLength, responseOnly: responseOnly)
    }
  }

  @Test func `a row is prompt, response and stop token, and the response alone counts`() throws {
    let row = try rows("ship sail", "seed soil")
    let ids = row.ids[0]
    #expect(ids.first == 2 && ids.last == 3 && ids.count == 6)
    #expect(ids.filter { $0 == 3 }.count == 1)
    #expect(row.responseStarts == [3])
    #expect(row.nextTokens([0]) == [-100, -100, ids[3], ids[4], ids[5], -100])
    let all = try rows("ship sail", "seed soil", responseOnly: false)
    #expect(all.nextTokens([0]) == Array(ids.dropFirst()) + [-100])
  }

  @Test func `a long row keeps its beginning, the end of its prompt, and its response`() throws {
    let whole = try rows("ship sail harbour anchor deck", "seed soil")
    let cut = try rows("ship sail harbour anchor deck", "seed soil", maxLength: 6)
    #expect(whole.cutCount == 0 && cut.cutCount == 1)
    #expect(cut.ids[0] == [2] + whole.ids[0].suffix(5))
    let tight = try rows("ship sail harbour anchor", "seed soil harvest plough", maxLength: 4)
    #expect(tight.ids[0].count == 4 && tight.responseStarts == [2])
    #expect(tight.nextTokens([0]).contains { $0 >= 0 })
  }

  @Test func `a row without a response is named`() {
    let error = #expect(throws: ApusError.self) { try rows("ship", nil) }
    #expect(error?.location == "a:1")
  }

  @Test func `parts of a measurement add up to the whole`() throws {
    let logits = Tensor([3, 0, 0, 0, 3, 0, 0, 0, 3, 1, 2, 0] as [Float], shape: [4, 3])
    let targets = Tensor([0, 1, 1, 1], shape: [4])
    var (whole, first, second) = (LanguageScores(), LanguageScores(), LanguageScores())
    whole.add(logits: logits, targets: targets)
    first.add(logits: logits.sliced(0, 0..<1), targets: targets.sliced(0, 0..<1))
    second.add(logits: logits.sliced(0, 1..<4), targets: targets.sliced(0, 1..<4))
    #expect(whole.metrics["token_accuracy"] == 0.75)
    let sums = first.sums.merging(second.sums) { $0 + $1 }
    for (name, value) in LanguageScores(sums: sums).metrics {
      #expect(abs(value - (whole.metrics[name] ?? 0)) < 1e-6)
    }
    #expect(LanguageScores().metrics.isEmpty)
    whole.add(logits: Tensor.zeros([0, 3]), targets: Tensor.zeros([0], dtype: .int64))
    #expect(whole.metrics["token_accuracy"] == 0.75)
  }
}
