import ApusBase
import ApusCore
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@Suite struct ClippedLoRALaws {
  private func federation(longest: Double) throws -> ToyFederation {
    var options = ClippedLoRA.Options()
    options.longestChange = longest
    return try ToyFederation(ClippedLoRA(options))
  }

  @Test func `a bound that nobody reaches leaves FedIT, bit for bit`() async throws {
    let clipped = try federation(longest: 1e6)
    let plain = try ToyFederation(FedIT(FedIT.Options()))
    try await clipped.run(0..<3)
    try await plain.run(0..<3)
    #expect(clipped.server.global.isIdentical(to: plain.server.global))
  }

  @Test(arguments: [1e-3, 0.05])
  func `no client's change is longer than the bound`(longest: Double) async throws {
    let clipped = try federation(longest: longest)
    let start = clipped.server.global
    try await clipped.run(0..<1)
    for update in clipped.updates.values {
      var square = 0.0
      for (name, tensor) in update.tensors {
        square += (tensor - (try #require(start[name]))).squared.sum().item
      }
      #expect(abs(square.squareRoot() - longest) < 1e-5)
    }
  }

  @Test func `a bound that is no length is refused`() {
    var options = ClippedLoRA.Options()
    options.longestChange = 0
    let error = #expect(throws: ApusError.self) { try options.validate() }
    #expect(error?.location == "longest-change")
  }

  @Test func `the page shows this very file and these laws, of less than a hundred lines`() throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
    func text(_ file: URL) throws -> String { try String(contentsOf: file, encoding: .utf8) }
    let method = try text(folder.appending(path: "ClippedLoRA.swift"))
    let laws = try text(folder.appending(path: "ClippedLoRALaws.swift"))
    let page = try text(packageRoot.appending(path: "docs/adding-a-method.md"))
    let blocks = page.components(separatedBy: "```swift\n").dropFirst()
      .map { $0.components(separatedBy: "```")[0] }
    #expect(blocks.count == 2)
    #expect(blocks.first == method)
    #expect(blocks.last.map { laws.contains($0) } == true)
    #expect(method.split(separator: "\n", omittingEmptySubsequences: false).count < 100)
  }
}
