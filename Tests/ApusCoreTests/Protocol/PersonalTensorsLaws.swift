import ApusBase
import ApusCore
import ApusTorch
import Foundation
import Testing

@Suite struct PersonalTensorsLaws {
  private let start = NamedTensors(["x": .zeros([2]), "y": .zeros([3])])
  private let trained = NamedTensors([
    "x": .full([2], 1.5), "y": .full([3], -0.0), "shared": .ones([4]),
  ])

  @Test func `a client has the start values until it has trained, and stores nothing`() {
    let personal = PersonalTensors(startingAt: start)
    #expect(personal.values.isIdentical(to: start))
    #expect(personal.snapshot.isEmpty)
  }

  @Test func `only the declared tensors are kept`() {
    var personal = PersonalTensors(startingAt: start)
    personal.keep(trained)
    #expect(personal.values.isIdentical(to: trained.filtered { $0 != "shared" }))
  }

  @Test func `a stored client goes on with the same bits`() throws {
    var personal = PersonalTensors(startingAt: start)
    personal.keep(trained)
    let bytes = try personal.snapshot.encoded()
    var restored = PersonalTensors(startingAt: start)
    try restored.restore(Snapshot(encoded: bytes, at: "client"))
    #expect(restored.values.isIdentical(to: personal.values))
    #expect(try restored.snapshot.encoded() == bytes)
    try restored.restore(Snapshot())
    #expect(restored.values.isIdentical(to: start))
  }

  @Test func `another client's tensors are refused, and change nothing`() throws {
    var personal = PersonalTensors(startingAt: start)
    personal.keep(trained)
    let before = try personal.snapshot.encoded()
    for alien in [
      NamedTensors(["x": .ones([2])]), NamedTensors(["x": .ones([2]), "y": .ones([4])]), trained,
    ] {
      let error = #expect(throws: ApusError.self) {
        try personal.restore(Snapshot(tensors: alien))
      }
      #expect(error?.code == .shapeMismatch)
      #expect(try personal.snapshot.encoded() == before)
    }
  }
}
