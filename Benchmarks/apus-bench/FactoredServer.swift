import ApusBase
import ApusCore
import ApusMethods
import ApusTorch
import Foundation

/// One round of a method's own server half over drawn factors.
struct FactoredServer {
  let shape: ServerCostShape
  let sites: Int
  let clients: Int

  /// Time of absorbing and finishing, without making the updates, and memory beyond what was there
  /// before the first update.
  func measure(_ method: ServerCostMethod) throws -> ServerCost {
    let pairs = (0..<sites).map {
      FactorPair(
        site: "layer.\($0).q", a: "layer.\($0).q.lora_A.weight",
        b: "layer.\($0).q.lora_B.weight", scaling: 2)
    }
    let entry = try MethodCatalog.entry(method.rawValue)
    var stream = RandomStream(seed: 1)
    let start = factors(pairs, &stream)
    let made = try entry.make(entry.defaultOptions)
    var initial = start
    if let plan = made.modelExtension.sparse {
      for pair in pairs {
        let mask = plan.mask(pair.site, shape: [shape.size, shape.size], rank: shape.rank)
        initial[SparsePlan.name(besideA: pair.a)] = .zeros([mask.count])
      }
    }
    var server = try made.server(
      ServerSetting(initial: initial, factorPairs: pairs, aggregation: Aggregation()))
    // FRLoRA decomposes the published weights once in a run, as any implementation must.
    if method == .frLoRA {
      try server.restore(
        Snapshot(
          groups: ["start": start],
          fields: ["base_version": .int(0), "base_changes": .int(0)]))
    }
    try Tensor.check("setting")
    // SLoRA's server differs from FedIT's in the round of its switch.
    let round = Round(
      index: method == .sLoRA ? 4 : 0, total: 10, root: RandomStream(seed: 1))
    let before = peakMegabytes()
    var seconds = 0.0
    for client in 0..<clients {
      var update = Message(
        tensors: method == .sLoRA ? entries(initial, &stream) : factors(pairs, &stream),
        sampleCount: 1)
      update.fields["base_version"] = .int(0)
      try Tensor.check("update")
      let begin = processorSeconds()
      try server.absorb(
        update, from: ClientID(index: client, name: "client \(client)"), weight: 1, round: round)
      seconds += processorSeconds() - begin
    }
    let begin = processorSeconds()
    _ = try server.finish(round: round)
    try Tensor.check("round")
    return ServerCost(
      seconds: seconds + processorSeconds() - begin, megabytes: peakMegabytes() - before)
  }

  private func factors(_ pairs: [FactorPair], _ stream: inout RandomStream) -> NamedTensors {
    var tensors: [String: Tensor] = [:]
    for pair in pairs {
      tensors[pair.a] = Tensor.normal([shape.rank, shape.size], stream: &stream)
      tensors[pair.b] = Tensor.normal([shape.size, shape.rank], stream: &stream)
    }
    return NamedTensors(tensors)
  }

  private func entries(_ initial: NamedTensors, _ stream: inout RandomStream) -> NamedTensors {
    initial.filtered(SparsePlan.contains).mapValues {
      Tensor.normal($0.shape, stream: &stream)
    }
  }
}

/// The same results through matrices [d_out, d_in], as servers that decompose the mean make them; of
/// one weight.
struct DenseServer {
  let shape: ServerCostShape
  let clients: Int

  /// Steps of the correction's descent that are timed, of a thousand.
  private static let timedSteps = 5

  /// The singular value decomposition of one matrix.
  func decomposition() throws -> ServerCost {
    var stream = RandomStream(seed: 1)
    let matrix = Tensor.normal([shape.size, shape.size], stream: &stream)
    try Tensor.check("matrix")
    let (before, begin) = (peakMegabytes(), processorSeconds())
    _ = svd(matrix)
    try Tensor.check("decomposition")
    return ServerCost(
      seconds: processorSeconds() - begin, megabytes: peakMegabytes() - before)
  }

  /// Everything but the decomposition.
  func measure(_ method: ServerCostMethod) throws -> ServerCost {
    var stream = RandomStream(seed: 1)
    let before = peakMegabytes()
    var seconds = 0.0
    let sum = Tensor.zeros([shape.size, shape.size])
    var (meanA, meanB) = (
      Tensor.zeros([shape.rank, shape.size]), Tensor.zeros([shape.size, shape.rank])
    )
    let changes = method == .sLoRA ? sparse(&stream) : sum
    for _ in 0..<clients {
      let a = Tensor.normal([shape.rank, shape.size], stream: &stream)
      let b = Tensor.normal([shape.size, shape.rank], stream: &stream)
      let begin = processorSeconds()
      if method == .sLoRA {
        sum.addInPlace(changes, factor: 1 / Double(clients))
      } else if method != .frLoRA {
        sum.addInPlace(matmul(b, a), factor: 1 / Double(clients))
      }
      meanA = meanA + a / Double(clients)
      meanB = meanB + b / Double(clients)
      seconds += processorSeconds() - begin
    }
    let begin = processorSeconds()
    let factor = step(method, sum, meanA, meanB)
    try Tensor.check("dense step")
    return ServerCost(
      seconds: seconds + (processorSeconds() - begin) * factor,
      megabytes: peakMegabytes() - before)
  }

  /// The step on one weight; returns by how much its time is to be multiplied.
  private func step(
    _ method: ServerCostMethod, _ sum: Tensor, _ a: Tensor, _ b: Tensor
  ) -> Double {
    switch method {
    case .fedexLoRA:  // the residual, whose factors are to be sent
      sum.addInPlace(matmul(b, a), factor: -1)
    case .flexLoRA, .sLoRA: break  // the sum itself is decomposed
    case .frLoRA:  // the residual of the means, added to the weight
      sum.addInPlace(matmul(b, a) - matmul(b, a))
    case .loraFAIR:
      var change = b.zerosLike
      for _ in 0..<Self.timedSteps {
        let product = matmul(b + change, a)
        let (inner, norms) = ((product * sum).sum(), product.norm() * sum.norm())
        let slope = sum / norms - product * (inner / (norms * product.squared.sum()))
        change = change + matmul(slope, a.matrixTransposed) * 0.01 - change * 2e-4
      }
      _ = change.sum().item
      return 1_000 / Double(Self.timedSteps)
    }
    return 1
  }

  /// A change of as many entries as LoRA has elements.
  private func sparse(_ stream: inout RandomStream) -> Tensor {
    let mask = SparsePlan(density: nil, seed: 1)
      .mask("q", shape: [shape.size, shape.size], rank: shape.rank)
    return mask.matrix(of: Tensor.normal([mask.count], stream: &stream))
  }
}
