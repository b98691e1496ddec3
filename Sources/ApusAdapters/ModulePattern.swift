internal import ApusBase

/// Chooses modules by their paths, as Hugging Face PEFT does.
public enum ModulePattern: Sendable, Equatable {
  /// Paths, or endings of paths that begin after a full stop.
  case names([String])
  /// A regular expression for whole paths.
  case expression(String)
  /// Every linear layer outside of the head.
  case allLinear

  /// PEFT's word for every linear layer.
  static let allLinearName = "all-linear"

  /// The decision for a path.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` for a malformed regular expression.
  func compiled(at place: String) throws(ApusError) -> (String) -> Bool {
    switch self {
    case .names(let names):
      return { path in names.contains { Self.matches(path, $0) } }
    case .expression(let text):
      let expression = try PathExpression(text, at: place)
      return expression.matches
    case .allLinear:
      return { _ in true }
    }
  }

  /// Whether a name means this path: it is the path, or the path ends in it after a full stop.
  static func matches(_ path: String, _ name: String) -> Bool {
    path == name || path.hasSuffix(".\(name)")
  }
}

extension ModulePattern: Codable {
  // In files a pattern is a list of names or one text, as in adapter_config.json.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let names = try? container.decode([String].self) {
      self = .names(names)
    } else {
      self.init(try container.decode(String.self))
    }
  }

  /// The pattern that one text stands for.
  init(_ text: String) {
    self = text.lowercased() == Self.allLinearName ? .allLinear : .expression(text)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .names(let names): try container.encode(names)
    case .expression(let text): try container.encode(text)
    case .allLinear: try container.encode(Self.allLinearName)
    }
  }
}

/// A regular expression that a whole module path must match.
struct PathExpression {
  private let regex: Regex<AnyRegexOutput>

  /// Compiles the expression; throws `.invalidConfig` if it is malformed.
  init(_ text: String, at place: String) throws(ApusError) {
    do { regex = try Regex(text) } catch {
      throw ApusError(
        .invalidConfig, at: place, "\"\(text)\" is not a regular expression",
        remedy: "Correct it, or give a list of names", cause: error)
    }
  }

  /// PEFT's reading of pattern keys: the expression, after nothing or after a full stop.
  init(endingIn text: String, at place: String) throws(ApusError) {
    _ = try PathExpression(text, at: place)
    try self.init("(?:.*\\.)?(?:\(text))", at: place)
  }

  func matches(_ path: String) -> Bool { (try? regex.wholeMatch(in: path)) != nil }
}
