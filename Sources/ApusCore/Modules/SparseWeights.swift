public import ApusBase
public import ApusTorch

/// Which entries of a frozen weight may be tuned, drawn once from a seed that all sides know.
///
/// Every entry is drawn on its own with the same probability, whatever the data are, so the mask
/// itself is never sent.
///
/// - Source: Babakniya et al., arXiv 2308.06522, section 4.
public struct WeightMask: Sendable {
  /// Places of the entries in the flattened weight [n], int64, ascending.
  public let places: Tensor
  /// Shape of the weight.
  public let shape: [Int]

  /// Draws a mask; the first entry is in if chance leaves none.
  ///
  /// - Parameters:
  ///   - shape: [d_out, d_in].
  ///   - density: δ, the probability of an entry.
  ///   - random: The site's own stream.
  public init(_ shape: [Int], density: Double, random: RandomStream) {
    var stream = random
    var chosen: [Int] = []
    Tensor.uniform([shape[0] * shape[1]], stream: &stream).withUnsafeBytes { bytes in
      for (place, draw) in bytes.bindMemory(to: Float.self).enumerated()
      where Double(draw) < density { chosen.append(place) }
    }
    if chosen.isEmpty { chosen = [0] }
    places = Tensor(chosen, shape: [chosen.count])
    self.shape = shape
  }

  /// Number of entries.
  public var count: Int { places.count }

  /// The entries of a weight [n], in float32.
  public func entries(of weight: Tensor) -> Tensor {
    weight.detached().to(.float32).reshaped([-1])
      .indexSelected(0, places.to(device: weight.device))
  }

  /// The matrix [d_out, d_in] that has these entries and zeros elsewhere.
  public func matrix(of entries: Tensor) -> Tensor {
    Tensor.zeros([shape[0] * shape[1]], dtype: entries.dtype, device: entries.device)
      .indexAdded(0, places.to(device: entries.device), entries).reshaped(shape)
  }
}

/// Some entries of a frozen weight, tuned in place: what trains are their values, not a change.
///
/// So weight decay acts on the weight as in full fine-tuning. While the values do not train and are
/// those of the frozen weight it costs nothing.
///
/// - Shapes: values [n] float32; input […, d_in], output […, d_out].
public final class SparseWeights: ProjectionAdapter {
  /// Under which it acts at its site.
  public static let name = "sparse"

  /// The values, a leaf of the graph.
  public let values: Tensor
  private let mask: WeightMask
  private let frozen: Tensor

  /// Entries of a layer's weight, as they are.
  public init(_ mask: WeightMask, of weight: Tensor) {
    self.mask = mask
    frozen = mask.entries(of: weight)
    values = frozen.cloned().requiringGradient()
  }

  public func adapted(
    _ output: Tensor, input: Tensor, layer: Linear, pass: ForwardPass
  ) -> Tensor {
    let difference = values - frozen
    guard difference.requiresGradient || difference.anyTrue else { return output }
    return output + linear(input, weight: mask.matrix(of: difference).to(input.dtype))
  }
}
