public import ApusBase
internal import CApusTorch

extension Tensor {
  /// A scalar or a tensor of any shape in which every element is `value`.
  public static func full(
    _ shape: [Int], _ value: Double, dtype: DType = .float32, device: Device = .cpu
  ) -> Tensor {
    Tensor(
      apus_full(
        shape.map(Int64.init), Int64(shape.count), value, dtype.raw, device.kind, device.index))
  }

  /// A tensor of zeros.
  public static func zeros(
    _ shape: [Int], dtype: DType = .float32, device: Device = .cpu
  ) -> Tensor { full(shape, 0, dtype: dtype, device: device) }

  /// A tensor of ones.
  public static func ones(
    _ shape: [Int], dtype: DType = .float32, device: Device = .cpu
  ) -> Tensor { full(shape, 1, dtype: dtype, device: device) }

  /// A tensor whose elements have no particular value until they are written.
  public static func empty(
    _ shape: [Int], dtype: DType = .float32, device: Device = .cpu
  ) -> Tensor {
    Tensor(
      apus_empty(shape.map(Int64.init), Int64(shape.count), dtype.raw, device.kind, device.index))
  }

  /// The integers start, start + step, … below `end`, on the processor.
  public static func range(
    _ start: Int, _ end: Int, step: Int = 1, dtype: DType = .int64
  ) -> Tensor { Tensor(apus_arange(Int64(start), Int64(end), Int64(step), dtype.raw)) }

  /// The float32 tensor with these elements, in row-major order.
  public init(_ elements: [Float], shape: [Int]) {
    self.init(copying: elements, shape: shape, dtype: .float32)
  }

  /// The float64 tensor with these elements, in row-major order.
  public init(_ elements: [Double], shape: [Int]) {
    self.init(copying: elements, shape: shape, dtype: .float64)
  }

  /// The int64 tensor with these elements, in row-major order.
  public init(_ elements: [Int], shape: [Int]) {
    self.init(copying: elements.map(Int64.init), shape: shape, dtype: .int64)
  }

  /// The tensor whose elements are these little-endian bytes, copied.
  public init(bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType) {
    guard dtype.byteCount(of: shape) == bytes.count, bytes.isEmpty || bytes.baseAddress != nil
    else {
      apus_error_record("copy: \(bytes.count) bytes do not fill shape \(shape) of \(dtype)")
      self.init(nil)
      return
    }
    self.init(
      apus_copy_in(bytes.baseAddress, shape.map(Int64.init), Int64(shape.count), dtype.raw))
  }

  private init(copying elements: [some Any], shape: [Int], dtype: DType) {
    self = elements.withUnsafeBytes { Tensor(bytes: $0, shape: shape, dtype: dtype) }
  }

  /// Wraps memory without copying it; `owner` is kept alive as long as any view of it.
  ///
  /// - Parameters:
  ///   - address: First element; aligned for `dtype`.
  ///   - shape: Lengths of the axes; the memory holds all elements, row-major.
  ///   - dtype: Type of the elements.
  ///   - owner: Whatever keeps the memory valid, such as a file mapping.
  init(wrapping address: UnsafeMutableRawPointer, shape: [Int], dtype: DType, owner: AnyObject) {
    let context = Unmanaged.passRetained(owner).toOpaque()
    self.init(
      apus_wrap(address, shape.map(Int64.init), Int64(shape.count), dtype.raw, context) {
        if let context = $0 { Unmanaged<AnyObject>.fromOpaque(context).release() }
      })
    if !isDefined { Unmanaged<AnyObject>.fromOpaque(context).release() }
  }

  /// The same numbers in another dtype or on another device; itself if nothing changes.
  public func to(_ dtype: DType? = nil, device: Device? = nil) -> Tensor {
    let device = device ?? self.device
    return Tensor(apus_to(raw, (dtype ?? self.dtype).raw, device.kind, device.index))
  }

  /// A copy with memory of its own.
  public func cloned() -> Tensor { Tensor(apus_clone(raw)) }

  /// Itself if contiguous, otherwise a contiguous copy.
  public func contiguous() -> Tensor { Tensor(apus_contiguous(raw)) }

  /// The only element, as a number; zero, and a recorded failure, if there are more.
  public var item: Double { raw == nil ? .nan : apus_item_double(raw) }

  /// The only element, as an integer; zero, and a recorded failure, if there are more.
  public var intItem: Int { raw == nil ? 0 : Int(apus_item_int(raw)) }

  /// All elements as float32, in row-major order.
  public var floats: [Float] { elements(.float32) }

  /// All elements as float64, in row-major order.
  public var doubles: [Double] { elements(.float64) }

  /// All elements as integers, in row-major order.
  public var ints: [Int] { (elements(.int64) as [Int64]).map { Int($0) } }

  private func elements<Element>(_ dtype: DType) -> [Element] {
    to(dtype, device: .cpu).withUnsafeBytes { Array($0.bindMemory(to: Element.self)) }
  }

  /// Calls `body` with the elements' own memory; only for a fresh, contiguous tensor on the
  /// processor that nobody else has seen.
  func withMutableBytes(_ body: (UnsafeMutableRawBufferPointer) -> Void) {
    guard isDefined, count > 0, let data = apus_data(raw) else { return }
    body(UnsafeMutableRawBufferPointer(start: data, count: byteCount))
    withExtendedLifetime(self) {}
  }

  /// Calls `body` with the elements' bytes, row-major and little-endian.
  ///
  /// Empty bytes if the tensor is undefined.
  public func withUnsafeBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let local = detached().to(device: .cpu).contiguous()
    guard local.isDefined, local.count > 0, let data = apus_data(local.raw) else {
      return try body(UnsafeRawBufferPointer(start: nil, count: 0))
    }
    defer { withExtendedLifetime(local) {} }
    return try body(UnsafeRawBufferPointer(start: data, count: local.byteCount))
  }
}

extension Tensor {
  /// Numbers drawn uniformly from [low, high).
  ///
  /// - Parameters:
  ///   - shape: Lengths of the axes.
  ///   - low: Lower end, included.
  ///   - high: Upper end, excluded.
  ///   - stream: Gives the draw's seed, and moves on by one.
  ///   - dtype: A floating-point type.
  ///   - device: Where to draw; each kind of device has its own generator.
  /// - Returns: A fresh tensor.
  public static func uniform(
    _ shape: [Int], low: Double = 0, high: Double = 1, stream: inout RandomStream,
    dtype: DType = .float32, device: Device = .cpu
  ) -> Tensor {
    Tensor(
      apus_uniform(
        shape.map(Int64.init), Int64(shape.count), low, high, stream.next(), dtype.raw,
        device.kind, device.index))
  }

  /// Numbers drawn uniformly from [low, high) as Python draws them from a seed: float32, on the CPU.
  ///
  /// For tensors that others must be able to draw again; all else takes a stream.
  public static func uniform(
    _ shape: [Int], low: Double, high: Double, pythonSeed seed: UInt64
  ) -> Tensor {
    Tensor(
      apus_uniform_as_python(shape.map(Int64.init), Int64(shape.count), low, high, seed))
  }

  /// Numbers drawn from the normal distribution of this mean and standard deviation.
  public static func normal(
    _ shape: [Int], mean: Double = 0, deviation: Double = 1, stream: inout RandomStream,
    dtype: DType = .float32, device: Device = .cpu
  ) -> Tensor {
    Tensor(
      apus_normal(
        shape.map(Int64.init), Int64(shape.count), mean, deviation, stream.next(), dtype.raw,
        device.kind, device.index))
  }

  /// Ones with this probability, else zeros.
  public static func bernoulli(
    _ shape: [Int], probability: Double, stream: inout RandomStream, dtype: DType = .float32,
    device: Device = .cpu
  ) -> Tensor {
    Tensor(
      apus_bernoulli(
        shape.map(Int64.init), Int64(shape.count), probability, stream.next(), dtype.raw,
        device.kind, device.index))
  }
}
