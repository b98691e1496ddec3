import ApusBase
import Foundation

/// Which Flower the other side runs, asked before anything else.
///
/// The Runtime API changes between minor versions of Flower, so one that nobody tested is refused
/// in words, rather than found out by what breaks.
struct FlowerVersion: Sendable, Equatable {
  /// Such as `1.41.0`.
  let text: String

  /// Minor versions of Flower 1 that Apus was tested with.
  static let tested = 40...42

  /// Reads the version from a description of the interface (`/openapi.json`).
  ///
  /// - Parameters:
  ///   - description: What the other side gave.
  ///   - address: Where it is.
  /// - Throws: ``ApusError`` `.unsupported` for another version, or something else than Flower.
  init(openAPI description: Data, address: String) throws(ApusError) {
    let json = try? JSONNode(parsing: description, file: address)
    guard let text = try? json?["info"]["version"].string() else {
      throw ApusError(
        .unsupported, at: address, "what answers there is not Flower \(Self.range)",
        remedy: "Give the address of the Runtime API: a SuperNode's --port, or a SuperLink's")
    }
    let parts = text.split(separator: ".").compactMap { Int($0) }
    guard parts.count >= 2, parts[0] == 1, Self.tested.contains(parts[1]) else {
      throw ApusError(
        .unsupported, at: address, "Flower \(text) runs there; tested are versions \(Self.range)",
        remedy: "Install flwr>=1.\(Self.tested.lowerBound),<1.\(Self.tested.upperBound + 1)")
    }
    self.text = text
  }

  /// Declares this side to be of the same version, as a later Flower may demand.
  var headers: [(name: String, value: String)] {
    [
      ("flwr-package-name", "flwr"), ("flwr-package-version", text),
      ("flwr-component-name", "apus"),
    ]
  }

  private static var range: String { "1.\(tested.lowerBound) to 1.\(tested.upperBound)" }
}
