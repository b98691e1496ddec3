public import ApusBase

/// How encodings are lengthened, so that a batch is a rectangle.
public struct Padding: Sendable, Equatable {
  /// The length to reach; longer encodings stay as they are.
  public enum Length: Sendable, Equatable {
    /// That of the longest encoding of the batch.
    case longest
    /// This many tokens.
    case fixed(Int)
  }

  /// Leaves encodings as short as they are, whatever the file says.
  public static let off = Padding(to: .fixed(0), id: 0, token: "")

  /// Longest encoding that padding may make, in tokens; far beyond any model.
  public static let lengthLimit = 1 << 20

  /// The length to reach.
  public var length: Length
  /// The length is rounded up to a multiple of this; 1 leaves it alone.
  public var multiple: Int
  /// Where padding goes.
  public var direction: TextDirection
  /// Id of the padding token.
  public var id: Int
  /// Type id of padding.
  public var typeID: Int
  /// The padding token.
  public var token: String

  public init(
    to length: Length, multiple: Int = 1, direction: TextDirection = .right, id: Int,
    typeID: Int = 0, token: String
  ) {
    self.length = length
    self.multiple = multiple
    self.direction = direction
    self.id = id
    self.typeID = typeID
    self.token = token
  }

  init(reading node: JSONNode) throws(ApusError) {
    let strategy = node["strategy"]
    if strategy["Fixed"].exists {
      length = .fixed(try strategy["Fixed"].int())
    } else {
      guard try strategy.string() == "BatchLongest" else {
        throw strategy.error(
          "there is no such strategy", remedy: "Allowed: BatchLongest, {\"Fixed\": length}")
      }
      length = .longest
    }
    let multiple = node["pad_to_multiple_of"]
    self.multiple = multiple.exists ? max(1, try multiple.int()) : 1
    direction = try TextDirection(reading: node["direction"])
    id = try node["pad_id"].tokenID()
    typeID = try node["pad_type_id"].tokenID()
    token = try node["pad_token"].string()
    do { _ = try target(longest: 0) } catch { throw error.located(in: node.place) }
  }

  /// Lengthens all encodings of a batch to the same length.
  ///
  /// - Parameter encodings: The batch.
  /// - Throws: ``ApusError`` `.invalidConfig` if a length is negative or beyond ``lengthLimit``.
  public func pad(_ encodings: inout [Encoding]) throws(ApusError) {
    let target = try target(longest: encodings.map(\.count).max() ?? 0)
    for index in encodings.indices { encodings[index].pad(to: target, with: self) }
  }

  private func target(longest: Int) throws(ApusError) -> Int {
    let wanted: Int
    switch length {
    case .longest: wanted = longest
    case .fixed(let count): wanted = count
    }
    let rounding = multiple > 1 ? multiple : 1
    guard case let limit = Swift.max(Self.lengthLimit, longest), (0...limit).contains(wanted),
      rounding <= limit
    else {
      throw ApusError(
        .invalidConfig, at: "padding", "the length \(wanted), in steps of \(rounding), is not sane",
        remedy: "Choose a length from 0 to \(Self.lengthLimit)")
    }
    return (wanted + rounding - 1) / rounding * rounding
  }
}
