internal import ApusBase

extension OptimizerConfiguration: Codable {
  /// The names that a file uses.
  private enum Name: String, Codable, CaseIterable {
    case sgd
    case adam
    case adamw
    case adafactor
  }

  private enum Field: String, CodingKey, CaseIterable {
    case name
    case weightDecay
    case momentum
    case nesterov
    case beta1
    case beta2
    case epsilon
    case squareEpsilon
    case scaleEpsilon
    case clipThreshold
    case decayRate
    case scaleParameter
    case rate

    /// The options that this optimizer has.
    static func allowed(by name: Name) -> [Field] {
      switch name {
      case .sgd: [.name, .weightDecay, .momentum, .nesterov]
      case .adam, .adamw: [.name, .weightDecay, .beta1, .beta2, .epsilon]
      case .adafactor:
        [
          .name, .weightDecay, .beta1, .squareEpsilon, .scaleEpsilon, .clipThreshold, .decayRate,
          .scaleParameter, .rate,
        ]
      }
    }
  }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Field.self)
    let name: Name = try FlatOptions.name(fields.decode(String.self, forKey: .name), "optimizer")
    try FlatOptions.refuseOthers(
      than: Field.allowed(by: name), of: name.rawValue, in: decoder, at: "optimizer")
    switch name {
    case .sgd: self = .sgd(try Self.sgd(fields))
    case .adam: self = .adam(try Self.adam(fields, .adam))
    case .adamw: self = .adam(try Self.adam(fields, .adamW))
    case .adafactor: self = .adafactor(try Self.adafactor(fields))
    }
  }

  private static func sgd(_ fields: KeyedDecodingContainer<Field>) throws -> SGD.Options {
    var options = SGD.Options()
    try fields.read(.momentum, into: &options.momentum)
    try fields.read(.nesterov, into: &options.nesterov)
    try fields.read(.weightDecay, into: &options.weightDecay)
    return options
  }

  private static func adam(
    _ fields: KeyedDecodingContainer<Field>, _ defaults: Adam.Options
  ) throws -> Adam.Options {
    var options = defaults
    try fields.read(.beta1, into: &options.beta1)
    try fields.read(.beta2, into: &options.beta2)
    try fields.read(.epsilon, into: &options.epsilon)
    try fields.read(.weightDecay, into: &options.weightDecay)
    return options
  }

  private static func adafactor(
    _ fields: KeyedDecodingContainer<Field>
  ) throws -> Adafactor.Options {
    var options = Adafactor.Options()
    try fields.read(.squareEpsilon, into: &options.squareEpsilon)
    try fields.read(.scaleEpsilon, into: &options.scaleEpsilon)
    try fields.read(.clipThreshold, into: &options.clipThreshold)
    try fields.read(.decayRate, into: &options.decayRate)
    options.beta1 = try fields.decodeIfPresent(Double.self, forKey: .beta1)
    try fields.read(.weightDecay, into: &options.weightDecay)
    try fields.read(.scaleParameter, into: &options.scaleParameter)
    try fields.read(.rate, into: &options.rate)
    return options
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: Field.self)
    switch self {
    case .sgd(let options):
      try fields.encode(Name.sgd, forKey: .name)
      try fields.encode(options.momentum, forKey: .momentum)
      try fields.encode(options.nesterov, forKey: .nesterov)
      try fields.encode(options.weightDecay, forKey: .weightDecay)
    case .adam(let options):
      try fields.encode(options.decouplesWeightDecay ? Name.adamw : .adam, forKey: .name)
      try fields.encode(options.beta1, forKey: .beta1)
      try fields.encode(options.beta2, forKey: .beta2)
      try fields.encode(options.epsilon, forKey: .epsilon)
      try fields.encode(options.weightDecay, forKey: .weightDecay)
    case .adafactor(let options):
      try fields.encode(Name.adafactor, forKey: .name)
      try fields.encode(options.squareEpsilon, forKey: .squareEpsilon)
      try fields.encode(options.scaleEpsilon, forKey: .scaleEpsilon)
      try fields.encode(options.clipThreshold, forKey: .clipThreshold)
      try fields.encode(options.decayRate, forKey: .decayRate)
      try fields.encodeIfPresent(options.beta1, forKey: .beta1)
      try fields.encode(options.weightDecay, forKey: .weightDecay)
      try fields.encode(options.scaleParameter, forKey: .scaleParameter)
      try fields.encode(options.rate, forKey: .rate)
    }
  }
}
