public import ApusTorch

/// A function trained beside a frozen projection.
public protocol ProjectionAdapter: AnyObject {
  /// The projection's output with the adapter's contribution.
  ///
  /// - Parameters:
  ///   - output: What the frozen layer, and adapters attached earlier, made of the input […, d_out].
  ///   - input: The layer's input […, d_in].
  ///   - layer: The frozen layer, for adapters that use its weight.
  ///   - pass: Layout of the rows, and chance for dropout.
  /// - Returns: The new output […, d_out].
  func adapted(_ output: Tensor, input: Tensor, layer: Linear, pass: ForwardPass) -> Tensor
}

/// A linear layer at which adapters may act: it sees input, output and weight.
///
/// Invisible in the checkpoint: `query.weight`, not `query.base.weight`.
public final class ProjectionSite: Module, TransparentModule {
  /// The frozen layer.
  public let base: Linear
  /// Adapters in the order in which they act, each with its name.
  public private(set) var adapters: [(name: String, adapter: any ProjectionAdapter)] = []
  /// How they act together; each of them fully, unless a method mixes them.
  public var mixture = AdapterMixture()
  /// Weighs adapters by the rows, if a mixture asks for it.
  public var gate: AdapterGate?

  /// A site around a layer.
  public init(_ base: Linear) { self.base = base }

  /// A site around a new layer without weights yet.
  public convenience init(_ inputs: Int, _ outputs: Int, bias: Bool = true) {
    self.init(Linear(inputs, outputs, bias: bias))
  }

  /// Lets an adapter act here, after those that do already; it replaces one of the same name.
  public func attach(_ adapter: any ProjectionAdapter, named name: String = "default") {
    if let place = adapters.firstIndex(where: { $0.name == name }) {
      adapters[place].adapter = adapter
    } else {
      adapters.append((name, adapter))
    }
  }

  /// Removes the adapter of this name, if there is one.
  public func detach(named name: String = "default") { adapters.removeAll { $0.name == name } }

  /// The layer's output with all adapters, in their mixture.
  public func callAsFunction(_ x: Tensor, _ pass: ForwardPass) -> Tensor {
    var output = base(x)
    let gates = gate?.weights(x)
    for (index, entry) in adapters.enumerated() {
      // With one mask for all, every adapter draws as the first one does.
      let scope =
        mixture.sharesDropout
        ? pass.scoped(adapters[0].name, 0) : pass.scoped(entry.name, index)
      let column = gate?.names.firstIndex(of: entry.name)
      output = mixture[entry.name].applied(
        to: output, gate: column.flatMap { gates?.sliced(1, $0..<($0 + 1)) }, layout: pass.layout
      ) { entry.adapter.adapted($0, input: x, layer: base, pass: scope) }
    }
    return output
  }
}
