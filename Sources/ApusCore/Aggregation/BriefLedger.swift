/// Who has seen which tensors in their present form, so that a brief can leave out the rest.
///
/// A client that keeps what it receives lacks only what has changed since the last brief that it
/// answered; one that never answered has the start values, which every side draws from the seed.
/// Only an absorbed update counts as an answer, as a client's state is kept together with it.
///
/// - Complexity: One number a client and one a tensor.
public struct BriefLedger: Sendable {
  private var changed: [String: Int] = [:]
  private var answered: [Int: Int] = [:]

  /// A ledger in which nothing has changed yet.
  public init() {}

  /// Whether a client has the tensor of this name in another form, and must be sent it.
  public func lacks(_ name: String, _ client: ClientID) -> Bool {
    guard let change = changed[name] else { return false }
    return answered[client.index].map { change >= $0 } ?? true
  }

  /// Notes that a client has, and keeps, what the brief of this round brought up to date.
  public mutating func note(answerOf client: ClientID, in round: Round) {
    answered[client.index] = round.index
  }

  /// Notes that these tensors are others after this round.
  public mutating func note(changeOf names: [String], in round: Round) {
    for name in names { changed[name] = round.index }
  }

  private static let (changedKey, answeredKey) = ("changed/", "answered/")

  /// The notes, for a snapshot.
  public var fields: [String: FieldValue] {
    var fields: [String: FieldValue] = [:]
    for (name, round) in changed { fields[Self.changedKey + name] = .int(round) }
    for (client, round) in answered { fields["\(Self.answeredKey)\(client)"] = .int(round) }
    return fields
  }

  /// Goes on from the notes of a snapshot; other fields are not looked at.
  public mutating func restore(_ fields: [String: FieldValue]) {
    self = BriefLedger()
    for (key, value) in fields {
      guard let round = value.int else { continue }
      if let name = key.removing(prefix: Self.changedKey) {
        changed[name] = round
      } else if let client = key.removing(prefix: Self.answeredKey).flatMap({ Int($0) }) {
        answered[client] = round
      }
    }
  }
}
