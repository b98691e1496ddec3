public import ApusCore
public import ApusTorch

/// A trained change of one projection's frozen weight: what LoRA, DoRA, VeRA and the like share.
///
/// It owns its tensors and says what they are called in Hugging Face files; where they are put, sent
/// and stored is the business of ``AdapterSet``. Tensors are float32 whatever the activations are.
///
/// - Shapes: input [T, d_in], output [T, d_out], weight [d_out, d_in].
public protocol Parameterization: ProjectionAdapter {
  /// What trains: leaves of the graph by the names that PEFT puts behind the module's path, such as
  /// `lora_A.weight`; the names never change.
  var leaves: [(suffix: String, tensor: Tensor)] { get }

  /// What a file holds of ``leaves``, which may be of a smaller inner dimension.
  var stored: [(suffix: String, tensor: Tensor)] { get }

  /// r, the inner dimension at present.
  var rank: Int { get }

  /// The inner dimension of ``stored``.
  var storedRank: Int { get }

  /// s, by which the low-rank product is multiplied now; 1 if there is no such number.
  var scaling: Double { get }

  /// The factors if the change is s·BA and nothing else, by their suffixes.
  var factors: (a: String, b: String, scaling: Double)? { get }

  /// Frozen tensors that all sites of a set share and a file holds once, by their names there.
  var shared: [(name: String, tensor: Tensor)] { get }

  /// The shapes of ``leaves`` if the inner dimension were another; nil if it cannot be that one.
  func shapes(atRank rank: Int) -> [[Int]]?

  /// Replaces the leaves by such of another inner dimension, all zero; the scaling stays.
  ///
  /// Without effect for an adapter that has one rank only.
  func resize(toRank rank: Int)

  /// What it adds to the output, alone: for mixtures that weigh several.
  ///
  /// - Parameters:
  ///   - input: The layer's input [T, d_in].
  ///   - layer: The frozen layer.
  ///   - pass: Layout of the rows, and chance for dropout.
  /// - Returns: [T, d_out], in the input's dtype.
  func contribution(of input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor

  /// What merging adds to the frozen weight [d_out, d_in], in float32, without a graph.
  func change(of weight: Tensor) -> Tensor
}

extension Parameterization {
  public var stored: [(suffix: String, tensor: Tensor)] { leaves }

  public var storedRank: Int { rank }

  public var factors: (a: String, b: String, scaling: Double)? { nil }

  public var shared: [(name: String, tensor: Tensor)] { [] }

  public func shapes(atRank rank: Int) -> [[Int]]? { nil }

  public func resize(toRank rank: Int) {}

  public func adapted(
    _ output: Tensor, input: Tensor, layer: Linear, pass: ForwardPass
  ) -> Tensor {
    output + contribution(of: input, layer: layer, pass: pass)
  }

  /// The rank at which the leaves would have these shapes, in their order; nil if there is none.
  func rank(ofShapes shapes: [[Int]]) -> Int? {
    let present = leaves.map(\.tensor.shape)
    guard shapes != present else { return rank }
    for (found, own) in zip(shapes, present) where found.count == own.count {
      guard let (length, _) = zip(found, own).first(where: { $0 != $1 }) else { continue }
      return self.shapes(atRank: length) == shapes ? length : nil
    }
    return nil
  }
}
