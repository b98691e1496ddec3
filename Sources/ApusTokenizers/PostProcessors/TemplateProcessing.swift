import ApusBase

/// A format spelled out in the file, one template for a text and one for a pair.
struct TemplateProcessing: PostProcessor {
  private enum Part: Sendable {
    case text(index: Int, typeID: Int)
    case special(tokens: [String], ids: [Int], typeID: Int)
  }

  private let single: [Part]
  private let pair: [Part]

  /// The format with one token before each text, or behind it, and type 1 for the second text.
  init(begin: BertProcessing.Special?, end: BertProcessing.Special?) {
    func part(_ index: Int) -> [Part] {
      let text = Part.text(index: index, typeID: index)
      func special(_ token: BertProcessing.Special?) -> Part? {
        token.map { .special(tokens: [$0.token], ids: [$0.id], typeID: index) }
      }
      return [special(begin), text, special(end)].compactMap { $0 }
    }
    single = part(0)
    pair = part(0) + part(1)
  }

  init(reading node: JSONNode) throws(ApusError) {
    single = try Self.template(reading: node["single"], specials: node["special_tokens"])
    pair = try Self.template(reading: node["pair"], specials: node["special_tokens"])
    for case .text(index: 1, _) in single {
      throw node["single"].error(
        "the template for one text uses a second one, B", remedy: "Use only A")
    }
  }

  private static func template(
    reading node: JSONNode, specials: JSONNode
  ) throws(ApusError) -> [Part] {
    var parts: [Part] = []
    for part in try node.array() {
      if part["SpecialToken"].exists {
        parts.append(try special(reading: part["SpecialToken"], specials: specials))
      } else {
        parts.append(try text(reading: part["Sequence"]))
      }
    }
    return parts
  }

  private static func text(reading node: JSONNode) throws(ApusError) -> Part {
    let name = try node["id"].string()
    guard let index = ["A", "B"].firstIndex(of: name) else {
      throw node["id"].error("there is no text \"\(name)\"", remedy: "Write A or B")
    }
    return .text(index: index, typeID: try node["type_id"].tokenID())
  }

  private static func special(
    reading node: JSONNode, specials: JSONNode
  ) throws(ApusError) -> Part {
    let token = specials[try node["id"].string()]
    var (tokens, ids) = ([String](), [Int]())
    for name in try token["tokens"].array() { tokens.append(try name.string()) }
    for id in try token["ids"].array() { ids.append(try id.tokenID()) }
    guard tokens.count == ids.count else {
      throw token.error(
        "there are \(tokens.count) tokens and \(ids.count) ids", remedy: "Give each token its id")
    }
    return .special(tokens: tokens, ids: ids, typeID: try node["type_id"].tokenID())
  }

  func specialCount(isPair: Bool) -> Int {
    (isPair ? pair : single).reduce(0) { count, part in
      guard case .special(_, let ids, _) = part else { return count }
      return count + ids.count
    }
  }

  func assemble(_ runs: [TokenRun], addSpecialTokens: Bool) -> Encoding {
    var encoding = Encoding()
    for part in runs.count == 2 ? pair : single {
      switch part {
      case .text(let index, let typeID):
        encoding.append(runs[index], typeID: typeID)
      case .special(let tokens, let ids, let typeID) where addSpecialTokens:
        for (token, id) in zip(tokens, ids) {
          encoding.append(special: token, id: id, typeID: typeID)
        }
      case .special: break
      }
    }
    return encoding
  }
}
