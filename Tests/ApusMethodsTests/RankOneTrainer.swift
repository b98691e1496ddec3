import ApusBase
import ApusCore
import ApusTorch

/// Linear regression of y = b·aᵀx with one LoRA pair of rank 1 on a backbone of zeros.
///
/// The angle between the first A and a is 45°, so B alone cannot bring the loss below half of what
/// it is at the start, while B and A together fit exactly.
///
/// - Shapes: x [n, 4], A [1, 4], B [3, 1].
final class RankOneTrainer: LocalTrainer {
  let initial = NamedTensors([
    "site.lora_A.weight": Tensor([1, 0, 0, 0] as [Float], shape: [1, 4]),
    "site.lora_B.weight": .zeros([3, 1]),
  ])
  let sampleCount = 64
  private(set) var trainables: NamedTensors
  private let inputs: Tensor
  private let targets: Tensor

  /// A client with rows of its own.
  init(client: Int) {
    var stream = RandomStream(seed: 5).substream("rows", client)
    inputs = Tensor.normal([64, 4], stream: &stream)
    let half = Float(0.5).squareRoot()
    let direction = Tensor([half, half, 0, 0], shape: [1, 4])
    let answer = Tensor([2, 0, -1] as [Float], shape: [3, 1])
    targets = linear(linear(inputs, weight: direction), weight: answer)
    trainables = initial.copied()
  }

  func load(_ values: NamedTensors) throws { trainables = trainables.merging(values.copied()) }

  /// The methods of these laws leave the backbone as it is.
  func load(_ delta: BaseDelta) throws {
    try delta.sites.requireShapes(of: NamedTensors(), at: "trainer")
  }

  /// Steps of gradient descent on all rows, one an epoch.
  func train(_ work: LocalWork) async throws -> TrainingOutcome {
    for _ in 0..<work.training.localEpochs {
      let leaves = trainables.filtered(work.selects).mapValues { $0.requiringGradient() }
      let gradients = loss(with: trainables.merging(leaves)).gradients(by: leaves.tensors)
      for (name, gradient) in zip(leaves.names, gradients) {
        guard let value = trainables[name], let gradient else { continue }
        trainables[name] = value.detached() - gradient * work.training.learningRate
      }
    }
    try Tensor.check("regression")
    return TrainingOutcome(steps: work.training.localEpochs, meanLoss: 0, rows: 0, tokens: 0)
  }

  func evaluate(_ split: DataSplit) async throws -> Metrics {
    ["loss": loss(with: trainables).item]
  }

  private func loss(with values: NamedTensors) -> Tensor {
    guard let a = values["site.lora_A.weight"], let b = values["site.lora_B.weight"] else {
      return targets
    }
    let gap = linear(linear(inputs, weight: a), weight: b) - targets
    return gap.squared.sum([1]).mean() * 0.5
  }
}
