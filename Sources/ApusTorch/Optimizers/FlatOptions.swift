internal import ApusBase

/// Reading of options from one flat object, whose `name` decides which other fields it may have.
enum FlatOptions {
  /// Any key, to find those that are not allowed.
  private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  /// The case that is spelled so; the error offers the likely meant one and lists all.
  static func name<Name: CaseIterable & RawRepresentable<String>>(
    _ spelled: String, _ place: String
  ) throws(ApusError) -> Name {
    guard let name = Name(rawValue: spelled) else {
      throw ApusError(
        .invalidConfig, at: "\(place), name", "there is no \(place) \"\(spelled)\"",
        remedy: Spelling.remedy(for: spelled, allowed: Name.allCases.map(\.rawValue)))
    }
    return name
  }

  /// Throws if the object has a field that is not allowed beside this name.
  static func refuseOthers(
    than allowed: [some CodingKey], of name: String, in decoder: any Decoder, at place: String
  ) throws {
    let allowed = allowed.map(\.stringValue)
    for key in try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue).sorted()
    where !allowed.contains(key) {
      throw ApusError(
        .invalidConfig, at: place, "\(name) has no option \"\(key)\"",
        remedy: Spelling.remedy(for: key, allowed: allowed))
    }
  }
}

extension KeyedDecodingContainer {
  /// Replaces a default by the field, where the file has it.
  func read<Value: Decodable>(_ key: Key, into value: inout Value) throws {
    if let given = try decodeIfPresent(Value.self, forKey: key) { value = given }
  }
}
