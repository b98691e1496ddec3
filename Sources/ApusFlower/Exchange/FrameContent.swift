import ApusBase
import ApusCore
import ApusSimulation
import Foundation

/// Frames of Apus inside Flower's messages: what both sides speak when both are Apus.
///
/// Record `apus` holds the head, record `parts` the byte strings, each as an array of `uint8`. The
/// first part of a training's question and answer is the encoded message of the method: the
/// bytes that the in-process engine counts, and a safetensors file to every other program.
extension FlowerContent {
  private static let key = "apus"
  private static let format = "frame/1"

  /// A message that carries a frame.
  init(_ frame: WorkerFrame) {
    let head = String(decoding: frame.head, as: UTF8.self)
    self.init([
      (Self.key, .config([("format", .string(Self.format)), ("head", .string(head))])),
      (
        "parts",
        .arrays(frame.parts.enumerated().map { ("\($0.offset)", FlowerArray(bytes: $0.element)) })
      ),
    ])
  }

  /// The frame that is carried; nil if this is no message between two sides of Apus.
  ///
  /// - Throws: ``ApusError`` `.invalidMessage` if it is of another version.
  func frame() throws(ApusError) -> WorkerFrame? {
    guard records.contains(where: { $0.name == Self.key }) else { return nil }
    guard config["format"]?.string == Self.format, let head = config["head"]?.string else {
      throw ApusError(
        .invalidMessage, at: "record apus", "it has no format that is known here",
        remedy: "Use one version of Apus on both sides")
    }
    return WorkerFrame(
      head: Data(head.utf8), parts: (arrays("parts") ?? []).map { Data($0.array.elements) })
  }
}
