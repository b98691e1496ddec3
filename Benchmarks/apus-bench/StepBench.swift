import ApusBase
import ApusCore
import ApusExperiments
import ApusModels
import ApusSimulation
public import ApusTorch
public import ArgumentParser
import Foundation

/// A training step against its matrix products alone, at the same dtype and token counts.
struct StepBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "step", abstract: "Time of a training step over the time of its GEMMs.")

  @Argument(help: "The experiment whose first clients train.")
  var experiment: String

  @Option(help: "float32 or bfloat16.")
  var precision = "float32"

  @Option(help: "How projections are kept: none or w8a8.")
  var quantization = Quantization.none

  @Option(help: "Steps of one measurement.")
  var steps = 8

  @Option(help: "Measurements of each, in turn; the medians count.")
  var repeats = 7

  func run() async throws {
    LibTorch.threadsPerOperation = 1
    let experiment = try Experiment(
      contentsOf: URL(fileURLWithPath: experiment),
      assignments: [
        "model.precision=\(precision)", "model.quantization=\(quantization.rawValue)",
      ])
    let assembly = try Assembly(experiment)
    let plain = try Backbone(assembly.backbone.checkpoint, precision: assembly.backbone.precision)
    // A client with enough rows for all steps of one measurement.
    let rows = steps * experiment.training.batchSize
    guard let client = assembly.clients.first(where: { $0.sampleCount >= rows }) else {
      throw ApusError(
        .invalidConfig, at: "steps", "no client has \(rows) rows", remedy: "Measure fewer steps")
    }
    let trainer = try assembly.makeTrainer(of: client.id)
    let root = RandomStream(seed: 1)
    var (stepTimes, floorTimes): ([Double], [Double]) = ([], [])
    for turn in 0...repeats {
      let work = LocalWork(
        training: experiment.training, random: root.substream("turn", turn), stepLimit: steps)
      let clock = ContinuousClock()
      let begin = clock.now
      let outcome = try await trainer.train(work)
      let step = (clock.now - begin) / .seconds(1)
      let floor = try GEMMFloor(
        plain, inBytes: quantization == .w8a8, tokens: outcome.tokens / steps)
      let floorBegin = clock.now
      for _ in 0..<steps { floor.run() }
      let gemms = (clock.now - floorBegin) / .seconds(1)
      guard turn > 0 else { continue }  // the first warms up
      stepTimes.append(step / Double(steps))
      floorTimes.append(gemms / Double(steps))
    }
    let (step, floor) = (median(stepTimes), median(floorTimes))
    print(
      "precision \(precision), quantization \(quantization.rawValue), one thread, \(steps) steps × \(repeats)"
    )
    print("step  \(format(step * 1e3)) ms")
    print("GEMMs \(format(floor * 1e3)) ms")
    print("ratio \(format(step / floor))")
  }
}

/// The products of a frozen encoder's projections, forward and backward to the input.
private struct GEMMFloor {
  private let inBytes: Bool
  private let weights: [Tensor]
  private let inputs: [Int: Tensor]

  init(_ backbone: Backbone, inBytes: Bool, tokens: Int) throws {
    self.inBytes = inBytes
    let dtype: DType = inBytes ? .int8 : backbone.precision.dtype
    weights = backbone.weights.filter {
      $0.name.contains("encoder.layer") && $0.tensor.rank == 2
    }.map { inBytes ? ($0.tensor.to(.float32) * 100).to(.int8) : $0.tensor }
    var stream = RandomStream(seed: 2)
    var inputs: [Int: Tensor] = [:]
    for width in Set(weights.flatMap(\.shape)) {
      let values = Tensor.normal([tokens, width], stream: &stream)
      inputs[width] = (inBytes ? values * 30 : values).to(dtype)
    }
    self.inputs = inputs
    try Tensor.check("floor")
  }

  func run() {
    withoutGradient {
      for weight in weights {
        guard let x = inputs[weight.size(1)], let gradient = inputs[weight.size(0)] else {
          continue
        }
        if inBytes {
          _ = integerProduct(x, weight.matrixTransposed)
          _ = integerProduct(gradient, weight)
        } else {
          _ = linear(x, weight: weight)
          _ = matmul(gradient, weight)
        }
      }
    }
  }
}

/// The middle of some times.
func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

/// Two decimals.
func format(_ value: Double) -> String { String(format: "%.2f", value) }

extension Quantization: ExpressibleByArgument {}
