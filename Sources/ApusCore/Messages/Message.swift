public import ApusBase
public import Foundation

/// What crosses between the halves of a method: the only thing that does.
///
/// A *brief* goes down to a client, an *update* comes up. Its one encoding is a safetensors file
/// whose metadata carry the fields, so any safetensors reader opens it, and the length of the
/// encoding is the number of bytes that the run reports.
public struct Message: Sendable {
  /// The tensors, by name.
  public var tensors: NamedTensors
  /// Small values beside the tensors, such as `samples`.
  public var fields: [String: FieldValue]

  /// A message of these tensors and fields.
  public init(tensors: NamedTensors = NamedTensors(), fields: [String: FieldValue] = [:]) {
    self.tensors = tensors
    self.fields = fields
  }

  /// An update: tensors trained on `sampleCount` examples.
  public init(tensors: NamedTensors, sampleCount: Int) {
    self.init(tensors: tensors, fields: [Self.samplesKey: .int(sampleCount)])
  }

  private static let samplesKey = "samples"

  /// nₖ, the number of examples that an update was trained on; nil if the message has none.
  public var sampleCount: Int? { fields[Self.samplesKey]?.int }

  /// The bytes that are sent; equal messages have equal bytes.
  ///
  /// - Throws: ``ApusError`` if a tensor is undefined.
  public func encoded() throws(ApusError) -> Data {
    try Envelope.encode(tensors, fields, kind: "message")
  }

  /// Reads a message; its tensors share one copy of `bytes`.
  ///
  /// - Parameters:
  ///   - bytes: What was received.
  ///   - place: Round and client, for errors.
  /// - Throws: ``ApusError`` `.invalidMessage` if the bytes are not a message.
  public init(encoded bytes: Data, at place: String) throws(ApusError) {
    (tensors, fields) = try Envelope.decode(bytes, kind: "message", at: place)
  }
}
