import ApusBase

/// BERT's format: `[CLS] A [SEP]`, or `[CLS] A [SEP] B [SEP]` with type 1 from B on.
struct BertProcessing: PostProcessor {
  typealias Special = (token: String, id: Int)

  let classification: Special
  let separator: Special

  init(classification: Special, separator: Special) {
    self.classification = classification
    self.separator = separator
  }

  init(reading node: JSONNode) throws(ApusError) {
    classification = try Self.special(reading: node["cls"])
    separator = try Self.special(reading: node["sep"])
  }

  private static func special(reading node: JSONNode) throws(ApusError) -> Special {
    let parts = try node.array()
    guard parts.count == 2 else {
      throw node.error(
        "expected a token and its id, found \(parts.count) values",
        remedy: "Write it as [\"[SEP]\", 102]")
    }
    return (try parts[0].string(), try parts[1].tokenID())
  }

  func specialCount(isPair: Bool) -> Int { isPair ? 3 : 2 }

  func assemble(_ runs: [TokenRun], addSpecialTokens: Bool) -> Encoding {
    guard addSpecialTokens else {
      return PlainJoin().assemble(runs, addSpecialTokens: false)
    }
    var encoding = Encoding()
    encoding.append(special: classification.token, id: classification.id, typeID: 0)
    for (index, run) in runs.enumerated() {
      encoding.append(run, typeID: index)
      encoding.append(special: separator.token, id: separator.id, typeID: index)
    }
    return encoding
  }
}
