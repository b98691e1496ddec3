internal import ApusBase

/// In a file: `{"name": "cosine", "warmupShare": 0.1}`, with `warmupSteps` instead of the share,
/// `cycles` of a cosine (½), `power` (1) and `end` (0) of a polynomial.
extension LearningRateSchedule: Codable {
  private enum Name: String, Codable, CaseIterable {
    case constant
    case linear
    case cosine
    case polynomial
  }

  private enum Field: String, CodingKey, CaseIterable {
    case name
    case warmupSteps
    case warmupShare
    case cycles
    case power
    case end

    /// The options that this decay has.
    static func allowed(by name: Name) -> [Field] {
      let always: [Field] = [.name, .warmupSteps, .warmupShare]
      switch name {
      case .constant, .linear: return always
      case .cosine: return always + [.cycles]
      case .polynomial: return always + [.power, .end]
      }
    }
  }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Field.self)
    let place = "learning-rate schedule"
    let name: Name = try FlatOptions.name(fields.decode(String.self, forKey: .name), place)
    try FlatOptions.refuseOthers(
      than: Field.allowed(by: name), of: name.rawValue, in: decoder, at: place)
    var (cycles, power, end) = (0.5, 1.0, 0.0)
    try fields.read(.cycles, into: &cycles)
    try fields.read(.power, into: &power)
    try fields.read(.end, into: &end)
    let decay: Decay =
      switch name {
      case .constant: .constant
      case .linear: .linear
      case .cosine: .cosine(cycles: cycles)
      case .polynomial: .polynomial(power: power, end: end)
      }
    try self.init(decay, warmup: Self.warmup(fields, at: place))
  }

  private static func warmup(
    _ fields: KeyedDecodingContainer<Field>, at place: String
  ) throws -> Warmup {
    let steps = try fields.decodeIfPresent(Int.self, forKey: .warmupSteps)
    guard let share = try fields.decodeIfPresent(Double.self, forKey: .warmupShare) else {
      return .steps(steps ?? 0)
    }
    guard steps == nil else {
      throw ApusError(
        .invalidConfig, at: place, "both warmupSteps and warmupShare are given",
        remedy: "Keep one of them")
    }
    return .share(share)
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: Field.self)
    switch decay {
    case .constant: try fields.encode(Name.constant, forKey: .name)
    case .linear: try fields.encode(Name.linear, forKey: .name)
    case .cosine(let cycles):
      try fields.encode(Name.cosine, forKey: .name)
      try fields.encode(cycles, forKey: .cycles)
    case .polynomial(let power, let end):
      try fields.encode(Name.polynomial, forKey: .name)
      try fields.encode(power, forKey: .power)
      try fields.encode(end, forKey: .end)
    }
    switch warmup {
    case .steps(let steps): try fields.encode(steps, forKey: .warmupSteps)
    case .share(let share): try fields.encode(share, forKey: .warmupShare)
    }
  }
}
