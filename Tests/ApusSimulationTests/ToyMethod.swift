import ApusBase
import ApusCore
import ApusSimulation
import ApusTorch
import Foundation

/// Linear regression by hand: small enough for thousands of clients, with everything that a
/// method can have: chance, a step limit, state on the client and on the server.
enum ToyMethod {
  static let names = ["head.bias", "head.weight"]

  static let initial = NamedTensors([
    "head.weight": Tensor([0.1, -0.2, 0.3] as [Float], shape: [3, 1]),
    "head.bias": Tensor([0] as [Float], shape: [1]),
  ])

  /// What a client does wrong.
  enum Fault: String, Codable, Sendable {
    case nan
    case misshaped
    case throwing
    case unmoved
    case zeros
    /// A failing tensor operation that nobody checks.
    case tensorFailure
    /// The whole process ends.
    case crash
    /// The whole process is killed.
    case killed
    /// Waits forever, after making the file that the client's name says.
    case hanging
  }

  struct Broken: Error {}

  /// Rows of a client or of the federation's own test split.
  static func rows(_ name: String, _ index: Int, count: Int) -> (x: Tensor, y: Tensor) {
    var stream = RandomStream(seed: 2_024).substream(name, index)
    let x = (0..<(count * 3)).map { _ in Float(stream.gaussian()) }
    let y = (0..<count).map { row in
      2 * x[row * 3] - x[row * 3 + 1] + Float(index % 7) * 0.1 + 0.05 * Float(stream.gaussian())
    }
    return (Tensor(x, shape: [count, 3]), Tensor(y, shape: [count, 1]))
  }

  struct Client: ClientHalf {
    let id: ClientID
    let sampleCount: Int
    let localSteps: Int
    let keepsState: Bool
    let fault: Fault?
    var personal: Tensor?
    var visits = 0

    mutating func train(on brief: Message, round: Round) async throws -> Message {
      if fault == .throwing { throw Broken() }
      if fault == .crash { exit(3) }
      if fault == .hanging {
        try Data().write(to: URL(fileURLWithPath: id.name))
        while true { pause() }
      }
      if fault == .killed { kill(getpid(), SIGKILL) }
      guard var weight = brief.tensors["head.weight"], var bias = brief.tensors["head.bias"] else {
        throw Broken()
      }
      let (x, y) = rows("client", id.index, count: sampleCount)
      var stream = round.random(of: id).substream("rows")
      let steps = min(brief.stepLimit ?? localSteps, localSteps)
      var loss = 0.0
      for _ in 0..<steps {
        let row = stream.integer(below: sampleCount)
        let input = x.sliced(0, row..<(row + 1))
        let error = matmul(input, weight) + bias - y.sliced(0, row..<(row + 1))
        loss += error.squared.sum().item
        weight = weight - matmul(input.matrixTransposed, error) * 0.05
        bias = bias - error.reshaped([1]) * 0.05
      }
      if keepsState {
        let mixed = (personal ?? weight.zerosLike) * 0.5 + weight * 0.5
        personal = mixed
        visits += 1
        weight = weight + mixed * 0.01
      }
      await Task.yield()
      var tensors = NamedTensors(["head.weight": weight, "head.bias": bias])
      switch fault {
      case .nan: tensors["head.weight"] = weight * Double.nan
      case .misshaped: tensors["head.weight"] = Tensor.zeros([4, 1])
      case .unmoved: tensors = brief.tensors
      case .zeros: tensors = tensors.mapValues { $0 * 0.0 }
      case .tensorFailure: _ = matmul(weight, weight)
      default: break
      }
      return Message(
        tensors: tensors, sampleCount: sampleCount,
        outcome: TrainingOutcome(
          steps: steps, meanLoss: steps > 0 ? loss / Double(steps) : 0, rows: steps, tokens: 0))
    }

    func evaluate(on brief: Message, split: DataSplit, round: Round) async throws -> Metrics {
      let (x, y) = rows("client", id.index, count: sampleCount)
      guard let weight = brief.tensors["head.weight"], let bias = brief.tensors["head.bias"] else {
        throw Broken()
      }
      let error = matmul(x, weight) + bias - y
      return ["loss": error.squared.mean().item, "visits": Double(visits)]
    }

    var snapshot: Snapshot {
      guard let personal else { return Snapshot() }
      return Snapshot(
        tensors: NamedTensors(["personal": personal]), fields: ["visits": .int(visits)])
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      personal = snapshot.tensors["personal"]
      visits = snapshot.fields["visits"]?.int ?? 0
    }
  }

  struct Server: ServerHalf {
    var global = ToyMethod.initial
    var mean = WeightedMean(like: ToyMethod.initial)
    var optimizer: ServerOptimizer
    var changes = true

    init(_ kind: ServerOptimizerConfiguration.Kind = .fedavg, changes: Bool = true) {
      var configuration = ServerOptimizerConfiguration()
      configuration.kind = kind
      configuration.learningRate = kind == .fedavg ? 1 : 0.1
      optimizer = ServerOptimizer(configuration)
      self.changes = changes
    }

    mutating func brief(for client: ClientID, round: Round) -> Message { Message(tensors: global) }

    mutating func absorb(
      _ update: Message, from client: ClientID, weight: Double, round: Round
    ) throws {
      try mean.absorb(update.tensors, weight: weight, at: "round \(round.index), \(client)")
    }

    mutating func finish(round: Round) throws -> Metrics {
      guard let mean = mean.finish(), changes else { return [:] }
      global = optimizer.step(global, towards: mean, scale: round.stepScale)
      return ["norm": global["head.weight"]?.norm().item ?? 0]
    }

    var snapshot: Snapshot {
      var tensors: [String: Tensor] = [:]
      for (name, tensor) in global { tensors["global/\(name)"] = tensor }
      for (name, tensor) in optimizer.state { tensors["moments/\(name)"] = tensor }
      return Snapshot(tensors: NamedTensors(tensors))
    }

    mutating func restore(_ snapshot: Snapshot) throws {
      var parts: [String: [String: Tensor]] = [:]
      for (name, tensor) in snapshot.tensors {
        let pieces = name.split(separator: "/", maxSplits: 1).map(String.init)
        parts[pieces[0], default: [:]][pieces[1]] = tensor
      }
      global = NamedTensors(parts["global"] ?? [:])
      optimizer.restore(NamedTensors(parts["moments"] ?? [:]))
    }
  }
}
