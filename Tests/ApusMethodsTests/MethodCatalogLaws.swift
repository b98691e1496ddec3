import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import Foundation
import Testing

/// Options that belong to no method of the catalogue.
private struct ForeignOptions: MethodOptions {}

@Suite struct MethodCatalogLaws {
  @Test func `ids and names are unique`() {
    let cards = MethodCatalog.all.map(\.card)
    #expect(Set(cards.map(\.id)).count == cards.count)
    #expect(Set(cards.map(\.name)).count == cards.count)
    #expect(Set(MethodCatalog.all.map(\.path)).count == cards.count)
  }

  @Test(arguments: MethodCatalog.all)
  func `an id can be typed on a command line, and finds its method`(
    method: MethodCatalog.Entry
  ) throws {
    let id = method.card.id
    #expect(id.wholeMatch(of: /[a-z0-9]+(-[a-z0-9]+)*/) != nil)
    #expect(try MethodCatalog.entry(id).card.id == id)
    #expect(try MethodCatalog.entry(id.uppercased()).card.id == id)
    #expect(method.description == id)
  }

  @Test(arguments: MethodCatalog.all)
  func `a method has its file, of at most 200 lines`(method: MethodCatalog.Entry) throws {
    let text = try String(
      contentsOf: packageRoot.appending(path: method.path), encoding: .utf8)
    #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 201)
    #expect(text.contains("id: \"\(method.card.id)\""))
  }

  @Test func `every file of a method is in the catalogue`() throws {
    let folder = packageRoot.appending(path: "Sources/ApusMethods")
    let known = Set(MethodCatalog.all.map(\.path))
    let walk = try #require(
      FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil))
    for case let file as URL in walk where file.pathExtension == "swift" {
      let text = try String(contentsOf: file, encoding: .utf8)
      guard text.contains("static let card = MethodCard(") else { continue }
      #expect(known.contains { file.path.hasSuffix($0) }, "\(file.lastPathComponent)")
    }
  }

  @Test(arguments: MethodCatalog.all)
  func `a card says everything that a table shows`(method: MethodCatalog.Entry) {
    let card = method.card
    for text in [card.name, card.summary, card.paper, card.leavesClient] + card.challenges {
      #expect(!text.isEmpty && !text.hasSuffix("."), "\(text)")
    }
    #expect(card.family == .reference || card.paper.contains { $0.isNumber })
  }

  @Test(arguments: MethodCatalog.all)
  func `defaults are valid`(method: MethodCatalog.Entry) throws {
    try method.defaultOptions.validate()
    try method.localTraining.validate()
    _ = try method.make(method.defaultOptions)
  }

  @Test(arguments: MethodCatalog.all)
  func `another method's options are refused`(method: MethodCatalog.Entry) {
    let error = #expect(throws: ApusError.self) { try method.make(ForeignOptions()) }
    #expect(error?.code == .invalidConfig)
    #expect(error?.problem.contains(method.card.name) == true)
  }

  @Test func `an unknown id is answered with the likely one and with all`() {
    let error = #expect(throws: ApusError.self) { try MethodCatalog.entry("fedti") }
    #expect(error?.code == .invalidConfig)
    #expect(error?.remedy.hasPrefix("Did you mean \"fedit\"?") == true)
    for method in MethodCatalog.all { #expect(error?.remedy.contains(method.card.id) == true) }
  }
}
