internal import ApusBase
internal import ApusTorch
internal import Foundation

/// The encoding that messages and snapshots share.
enum Envelope {
  private static let kindKey = "apus"
  private static let prefix = "f."

  static func encode(
    _ tensors: NamedTensors, _ fields: [String: FieldValue], kind: String
  ) throws(ApusError) -> Data {
    var metadata = [kindKey: "\(kind)/1"]
    for (name, value) in fields { metadata[prefix + name] = value.encoded }
    return try Safetensors.encode(tensors.map { $0 }, metadata: metadata)
  }

  static func decode(
    _ bytes: Data, kind: String, at place: String
  ) throws(ApusError) -> (NamedTensors, [String: FieldValue]) {
    do throws(ApusError) {
      let file = try SafetensorsFile(decoding: bytes, name: place)
      guard file.metadata[kindKey] == "\(kind)/1" else {
        throw ApusError(
          .invalidMessage, at: place,
          "expected a \(kind) of version 1, found \"\(file.metadata[kindKey] ?? "nothing")\"",
          remedy: "Use one version of Apus on both sides")
      }
      var fields: [String: FieldValue] = [:]
      for (key, text) in file.metadata {
        guard let name = key.removing(prefix: prefix) else { continue }
        guard let value = FieldValue(encoded: text) else {
          throw ApusError(
            .invalidMessage, at: "\(place), field \(name)", "the value cannot be read",
            remedy: "Use one version of Apus on both sides")
        }
        fields[name] = value
      }
      var tensors: [String: Tensor] = [:]
      for name in file.names { tensors[name] = try file.tensor(name) }
      return (NamedTensors(tensors), fields)
    } catch {
      guard error.code != .invalidMessage else { throw error }
      throw ApusError(
        .invalidMessage, at: error.location, error.problem, remedy: "Send the message again",
        cause: error)
    }
  }
}

extension String {
  /// The text behind `prefix`, compared scalar by scalar; nil if it begins otherwise.
  ///
  /// By characters, a name's leading accent would join the prefix's last letter and hide it.
  func removing(prefix: String) -> String? {
    guard unicodeScalars.starts(with: prefix.unicodeScalars) else { return nil }
    return String(unicodeScalars.dropFirst(prefix.unicodeScalars.count))
  }
}
