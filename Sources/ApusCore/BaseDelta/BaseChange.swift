public import ApusBase
public import ApusTorch

/// One addition to the frozen weights of some sites, as it is sent: factored where that is smaller.
///
/// - Shapes: `<site>.u` [d_out, m] with `<site>.v` [m, d_in], or `<site>.w` [d_out, d_in]; float32.
public struct BaseChange: Sendable {
  /// The factors or the matrix of each site that changes.
  public private(set) var tensors = NamedTensors()

  /// A change of nothing.
  public init() {}

  /// A change that was received.
  init(tensors: NamedTensors) { self.tensors = tensors }

  /// Whether no site changes.
  public var isEmpty: Bool { tensors.isEmpty }

  /// Lets U·V be added to a site's weight.
  ///
  /// It is sent as the matrix itself unless m(d_in + d_out) < d_in·d_out.
  ///
  /// - Parameters:
  ///   - site: Module path of the projection.
  ///   - u: U [d_out, m], scaling included.
  ///   - v: V [m, d_in].
  public mutating func add(_ site: String, u: Tensor, v: Tensor) {
    let (rows, columns, inner) = (u.size(0), v.size(1), u.size(1))
    if inner * (rows + columns) < rows * columns {
      tensors["\(site).u"] = u.to(.float32).contiguous()
      tensors["\(site).v"] = v.to(.float32).contiguous()
    } else {
      tensors["\(site).w"] = matmul(u, v).to(.float32)
    }
  }

  /// Lets a matrix be added to a site's weight.
  ///
  /// - Parameters:
  ///   - site: Module path of the projection.
  ///   - matrix: [d_out, d_in].
  public mutating func add(_ site: String, matrix: Tensor) {
    tensors["\(site).w"] = matrix.to(.float32).contiguous()
  }

  /// This change and another as one.
  ///
  /// - Throws: ``ApusError`` `.shapeMismatch` if a site has another shape in the other one.
  public func adding(_ other: BaseChange) throws(ApusError) -> BaseChange {
    var sum = BaseDelta()
    try sum.add(self)
    try sum.add(other)
    return BaseChange(tensors: sum.tensors)
  }
}
