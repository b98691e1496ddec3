import ApusBase
import ApusCore
import ApusTorch
import Testing

@Suite struct ProductAnchorLaws {
  private let pair = FactorPair(site: "q", a: "a", b: "b", scaling: 0.5)
  private let leaves: [(name: String, leaf: Tensor)]
  private let start: NamedTensors

  init() {
    var stream = RandomStream(seed: 5)
    let drawn = [("a", [2, 6]), ("b", [5, 2]), ("head", [3])].map { name, shape in
      (name: name, leaf: Tensor.normal(shape, stream: &stream).requiringGradient())
    }
    leaves = drawn
    start = NamedTensors(Dictionary(uniqueKeysWithValues: drawn.map { ($0.name, $0.leaf) }))
      .copied()
  }

  private var phase: LocalPhase {
    LocalPhase(trainables: leaves, stepCount: 1, fullStepCount: 1, round: nil)
  }

  private func product(_ values: NamedTensors) throws -> Tensor {
    matmul(try #require(values["b"]), try #require(values["a"])) * pair.scaling
  }

  // Card FedBiOT, property 4.
  @Test func `it is zero where it begins, and half the squared change of the product later`()
    throws
  {
    let anchor = ProductAnchor([pair], strength: 3)
    anchor.begin(phase)
    let step = LocalStep(phase, index: 0, random: RandomStream(seed: 1))
    let first = try #require(anchor.penalty(step))
    #expect(first.item == 0)
    for gradient in first.gradients(by: [leaves[0].leaf, leaves[1].leaf]) {
      #expect(try !#require(gradient).anyTrue)
    }
    leaves[1].leaf.assignInPlace(leaves[1].leaf.detached() + 0.3)  // B moves
    let now = NamedTensors(
      Dictionary(uniqueKeysWithValues: leaves.map { ($0.name, $0.leaf.detached()) }))
    let expected = try (product(now) - product(start)).squared.sum().item * 1.5
    let penalty = try #require(anchor.penalty(step))
    #expect(abs(penalty.item - expected) < 1e-5 * expected)
    let gradients = penalty.gradients(by: leaves.map(\.leaf))
    #expect(try #require(gradients[0]).anyTrue && #require(gradients[1]).anyTrue)
    #expect(gradients[2] == nil)
  }

  @Test func `it does not see another split of the same product`() throws {
    let anchor = ProductAnchor([pair], strength: 2)
    anchor.begin(phase)
    leaves[0].leaf.assignInPlace(leaves[0].leaf.detached() * 4)
    leaves[1].leaf.assignInPlace(leaves[1].leaf.detached() / 4)
    let step = LocalStep(phase, index: 1, random: RandomStream(seed: 1))
    let size = try product(start).squared.sum().item
    #expect(try #require(anchor.penalty(step)).item < 1e-5 * size)
  }

  // Card FedBiOT, property 6: ε → ∞ keeps the adapter where it was.
  @Test func `the stronger it is the less a product moves`() throws {
    var stream = RandomStream(seed: 8)
    let goal = Tensor.normal([5, 6], stream: &stream)
    let drifts = try [0.0, 10, 100, 1_000].map { strength in
      for (name, leaf) in leaves { leaf.assignInPlace(try #require(start[name])) }
      var training = LocalTraining()
      training.optimizer.kind = .sgd
      var stepper = try Stepper(
        phase, hooks: [ProductAnchor([pair], strength: strength)], training)
      try stepper.begin()
      for index in 0..<200 {
        let step = LocalStep(phase, index: index, random: RandomStream(seed: 1))
        _ = try stepper.step(step, learningRate: 0.1 / (1 + strength)) {
          ((matmul(leaves[1].leaf, leaves[0].leaf) * pair.scaling - goal).squared.mean(), nil)
        }
      }
      let now = NamedTensors(
        Dictionary(uniqueKeysWithValues: leaves.map { ($0.name, $0.leaf.detached()) }))
      return try (product(now) - product(start)).norm().item
    }
    #expect(zip(drifts, drifts.dropFirst()).allSatisfy { $0 > 2 * $1 }, "\(drifts)")
    #expect(try drifts[3] < 1e-3 * product(start).norm().item)
  }
}
