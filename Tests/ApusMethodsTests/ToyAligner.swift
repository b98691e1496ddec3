import ApusBase
import ApusCore
import ApusTorch

/// Moves an emulator's factors towards those of the adapter at the same site, and says how far they
/// were.
final class ToyAligner: EmulatorAligner {
  func align(
    _ values: NamedTensors, steps: Int, divergenceWeight: Double, random: RandomStream
  ) -> Alignment {
    var emulator = values.ofAdapter(EmulatorPlan.adapterName)
    var representation = 0.0
    for step in 0..<steps {
      for pair in ToyTrainer.pairs {
        let own = pair.inAdapter(EmulatorPlan.adapterName)
        for (name, model) in [(own.a, pair.a), (own.b, pair.b)] {
          guard let now = emulator[name], let goal = values[model] else { continue }
          var stream = random.substream("step", step).substream(name)
          let noise = Tensor.normal(now.shape, deviation: 0.01, stream: &stream)
          representation += (goal - now).squared.sum().item / Double(steps)
          emulator[name] = now + (goal - now) * 0.1 + noise
        }
      }
    }
    return Alignment(
      emulator: emulator, representation: representation, divergence: divergenceWeight)
  }
}
