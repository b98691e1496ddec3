public import Foundation

/// A place in a JSON file that knows its own path, so that a wrong field can be named.
///
/// Reading is by demand: `try file["model"]["vocab"].dictionary()`. A missing key is a node like
/// any other until its value is asked for.
public struct JSONNode: @unchecked Sendable {
  // The value tree of JSONSerialization holds immutable Foundation values only.
  private let value: Any?
  private let file: String
  private let path: String
  /// Whether the file has the key, if only with null.
  public let isStated: Bool

  private init(value: Any?, file: String, path: String) {
    self.value = value is NSNull ? nil : value
    isStated = value != nil
    self.file = file
    self.path = path
  }

  /// Parses a whole JSON document.
  ///
  /// - Parameters:
  ///   - data: The document's bytes.
  ///   - file: Name used in errors.
  /// - Throws: ``ApusError`` `.invalidFile` if it is not JSON.
  public init(parsing data: Data, file: String) throws(ApusError) {
    do {
      let value = try JSONSerialization.jsonObject(with: data, options: [.fragmentsAllowed])
      self.init(value: value, file: file, path: "")
    } catch {
      throw ApusError(
        .invalidFile, at: file, "this is not valid JSON (\(Self.reason(error)))",
        remedy: "Restore the file from its source", cause: error)
    }
  }

  /// Reads and parses a JSON file.
  ///
  /// - Throws: ``ApusError`` `.fileAccess` if it cannot be read, `.invalidFile` if it is not JSON.
  public init(contentsOf url: URL) throws(ApusError) {
    let data: Data
    do { data = try Data(contentsOf: url) } catch {
      throw ApusError(
        .fileAccess, at: url.path, "the file cannot be read",
        remedy: "Check that it exists and that you may read it", cause: error)
    }
    try self.init(parsing: data, file: url.path)
  }

  /// The member `key`, or an absent node.
  public subscript(key: String) -> JSONNode {
    let path = path.isEmpty ? key : "\(path).\(key)"
    return JSONNode(value: (value as? [String: Any])?[key], file: file, path: path)
  }

  /// Whether there is a value other than null.
  public var exists: Bool { value != nil }

  /// The value untyped: what JSONSerialization made of it.
  public var foundationValue: Any? { value }

  /// The members of an object; throws `.invalidFile` if this is something else.
  public func dictionary() throws(ApusError) -> [String: JSONNode] {
    guard let members = value as? [String: Any] else { throw mismatch("an object") }
    return Dictionary(uniqueKeysWithValues: members.keys.map { ($0, self[$0]) })
  }

  /// The elements of an array; throws `.invalidFile` if this is something else.
  public func array() throws(ApusError) -> [JSONNode] {
    guard let elements = value as? [Any] else { throw mismatch("an array") }
    return elements.enumerated().map { index, element in
      JSONNode(value: element, file: file, path: "\(path)[\(index)]")
    }
  }

  /// The text; throws `.invalidFile` if this is something else.
  public func string() throws(ApusError) -> String {
    guard let text = value as? String else { throw mismatch("a string") }
    return text
  }

  /// The whole number; throws `.invalidFile` if this is something else.
  public func int() throws(ApusError) -> Int {
    guard let number = value as? NSNumber, !isBool, let whole = Int(exactly: number) else {
      throw mismatch("a whole number")
    }
    return whole
  }

  /// The number; throws `.invalidFile` if this is something else.
  public func double() throws(ApusError) -> Double {
    guard let number = value as? NSNumber, !isBool else { throw mismatch("a number") }
    return number.doubleValue
  }

  /// The truth value; throws `.invalidFile` if this is something else.
  public func bool() throws(ApusError) -> Bool {
    guard isBool, let flag = value as? Bool else { throw mismatch("true or false") }
    return flag
  }

  /// An error at this place of the file.
  public func error(_ problem: String, remedy: String) -> ApusError {
    ApusError(.invalidFile, at: place, problem, remedy: remedy)
  }

  /// File and path of this node, as errors print it.
  public var place: String { path.isEmpty ? file : "\(file), \(path)" }

  private var isBool: Bool {
    // JSONSerialization makes a number of C type "c" only of true and false.
    (value as? NSNumber).map { $0.objCType.pointee == 0x63 } ?? false
  }

  private func mismatch(_ expected: String) -> ApusError {
    let found: String
    switch value {
    case nil: found = "nothing"
    case is String: found = "a string"
    case is NSNumber: found = isBool ? "a truth value" : "a number"
    case is [Any]: found = "an array"
    default: found = "an object"
    }
    return error("expected \(expected), found \(found)", remedy: "Correct this field of the file")
  }

  private static func reason(_ error: any Error) -> String {
    let info = (error as NSError).userInfo
    return (info["NSDebugDescription"] as? String) ?? "unreadable"
  }
}
