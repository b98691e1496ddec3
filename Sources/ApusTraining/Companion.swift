public import ApusBase
public import ApusCore
import ApusModels
public import ApusTorch

/// A small classifier of its own beside a model: embeddings of tokens, their mean, two thin layers.
///
/// The table of embeddings is drawn from the run's seed, alike on all clients, and stays; what
/// trains are the layers. As scores the upper layer starts at zero, so that a fresh companion adds
/// nothing to them.
///
/// - Shapes: V tokens of the vocabulary, d width, r rank; table [V, d], down [r, d], up [C, r] for
///   scores of C classes or [D, r] for features of length D.
/// - Source: the project's card of pFedLoRA, "foundation-model mode".
public final class Companion {
  /// What trains, by name.
  public let trainables: [(name: String, leaf: Tensor)]
  /// What the companion weighs beside the model; nil while it does not act.
  public var weight: CompanionWeight?
  /// Where what it gives joins the model's.
  let output: ModelExtension.Companion.Output
  private let table: Tensor
  private let down: Tensor
  private let up: Tensor

  /// A fresh companion.
  ///
  /// - Parameters:
  ///   - plan: Its output and lengths.
  ///   - vocabulary: V, the number of tokens.
  ///   - outputs: C or D.
  ///   - device: Where the model computes.
  ///   - random: Draws the table and the layers.
  public init(
    _ plan: ModelExtension.Companion, vocabulary: Int, outputs: Int, device: Device,
    random: RandomStream
  ) {
    func draw(_ name: String, _ rows: Int, _ columns: Int, bound: Double) -> Tensor {
      var stream = random.substream(name)
      return Tensor.uniform([rows, columns], low: -bound, high: bound, stream: &stream)
        .to(device: device)
    }
    output = plan.output
    table = draw("table", vocabulary, plan.width, bound: 1)
    let inner = 1 / Double(plan.width).squareRoot()
    down = draw("down", plan.rank, plan.width, bound: inner).requiringGradient()
    let outer = plan.output == .scores ? 0 : 1 / Double(plan.rank).squareRoot()
    up = draw("up", outputs, plan.rank, bound: outer).requiringGradient()
    let prefix = ModelExtension.companionPrefix
    trainables = [("\(prefix)down.weight", down), ("\(prefix)up.weight", up)]
  }

  /// Scores [B, C] or features [B, D] of a batch.
  func callAsFunction(_ batch: TokenBatch) -> Tensor {
    // A mean over tokens has the size of one token's vector / √length; √d brings it back to 1.
    let mean = batch.layout.meanOverExamples(embedding(table, batch.ids))
    let result = linear(
      gelu(linear(mean * Double(table.size(1)).squareRoot(), weight: down)), weight: up)
    return output == .features ? relu(result) : result
  }
}
