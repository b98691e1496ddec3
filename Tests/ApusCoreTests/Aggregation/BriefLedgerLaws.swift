import ApusBase
import ApusCore
import Testing

private let (first, second) = (ClientID(index: 0, name: "a"), ClientID(index: 17, name: "b"))

private func round(_ index: Int) -> Round {
  Round(index: index, total: 10, root: RandomStream(seed: 1))
}

@Suite struct BriefLedgerLaws {
  @Test func `nobody lacks what never changed`() {
    let ledger = BriefLedger()
    #expect(!ledger.lacks("x", first))
    #expect(ledger.fields.isEmpty)
  }

  @Test func `a client lacks what changed in the round that it answered, or later`() {
    var ledger = BriefLedger()
    ledger.note(answerOf: first, in: round(0))
    ledger.note(changeOf: ["x"], in: round(0))
    #expect(ledger.lacks("x", first))
    #expect(ledger.lacks("x", second))
    ledger.note(answerOf: first, in: round(1))
    ledger.note(changeOf: ["y"], in: round(1))
    #expect(!ledger.lacks("x", first))
    #expect(ledger.lacks("y", first))
    #expect(ledger.lacks("x", second))
  }

  @Test func `its notes survive a snapshot, beside fields of others`() {
    var ledger = BriefLedger()
    ledger.note(answerOf: first, in: round(0))
    ledger.note(answerOf: second, in: round(2))
    ledger.note(changeOf: ["x", "y/z"], in: round(1))
    var restored = BriefLedger()
    restored.note(answerOf: second, in: round(9))
    let foreign: [String: FieldValue] = ["other": .int(3), "answered/x": .int(1)]
    restored.restore(ledger.fields.merging(foreign) { own, _ in own })
    #expect(restored.fields == ledger.fields)
    for name in ["x", "y/z", "w"] {
      for client in [first, second] {
        #expect(restored.lacks(name, client) == ledger.lacks(name, client))
      }
    }
  }
}
