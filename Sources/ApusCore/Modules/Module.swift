public import ApusBase
public import ApusTorch

/// A part of a model: a node of a tree whose property names are the checkpoint's keys.
///
/// Children are found by reflection: a property that is a ``Parameter``, a `Module`, an array of
/// modules, or one of these inside a ``Key``. `encoder.layer.3.output.dense.weight` is the
/// parameter `weight` of the module `dense` of … of the fourth element of `layer`.
open class Module {
  /// Creates a module without children of its own.
  public init() {}

  /// Paths of modules below whose values were drawn, because the checkpoint has none for them.
  open var drawnModules: [String] { [] }

  /// Parameters and modules directly below, with the names that the checkpoint uses.
  final var children: [(name: String, child: Any)] {
    guard !(self is any LeafModule) else { return [] }
    var found: [(String, Any)] = []
    var mirror: Mirror? = Mirror(reflecting: self)
    var levels: [Mirror] = []
    while let level = mirror {
      levels.append(level)
      mirror = level.superclassMirror
    }
    for property in levels.reversed().flatMap({ Array($0.children) }) {
      guard let label = property.label else { continue }
      switch property.value {
      case let key as any KeyedChild: found.append((key.name, key.content))
      case is Parameter, is Module, is [Module]: found.append((label, property.value))
      case Optional<Any>.some(let inner) where inner is Parameter || inner is Module:
        found.append((label, inner))
      default: break
      }
    }
    return found
  }

  /// Calls `visit` for every module below and itself, with its path.
  public final func walk(_ path: String = "", _ visit: (_ path: String, _ module: Module) -> Void) {
    visit(path, self)
    for (name, child) in children {
      let below = self is any TransparentModule ? path : path.isEmpty ? name : "\(path).\(name)"
      switch child {
      case let module as Module: module.walk(below, visit)
      case let modules as [Module]:
        for (index, module) in modules.enumerated() { module.walk("\(below).\(index)", visit) }
      default: break
      }
    }
  }

  /// All parameters below, with their keys.
  public final var parameters: [(key: String, parameter: Parameter)] {
    var found: [(String, Parameter)] = []
    walk { path, module in
      for (name, child) in module.children {
        guard let parameter = child as? Parameter else { continue }
        found.append((path.isEmpty ? name : "\(path).\(name)", parameter))
      }
    }
    return found
  }

  /// Gives every parameter its tensor.
  ///
  /// - Parameters:
  ///   - weights: Tensors by key; shared, not copied.
  ///   - file: Name of the checkpoint, for errors.
  ///   - ignoring: Keys of the checkpoint that this model does not need, such as position ids.
  ///   - optional: Keys that may be missing and then keep their value.
  /// - Throws: ``ApusError`` `.checkpointMismatch` that lists missing and unexpected keys, or
  ///   `.shapeMismatch` for the first tensor of another shape; nothing is loaded then.
  public final func load(
    _ weights: NamedTensors, file: String, ignoring: (String) -> Bool = { _ in false },
    optional: (String) -> Bool = { _ in false }
  ) throws(ApusError) {
    let parameters = parameters
    let known = Set(parameters.map(\.key))
    let missing = parameters.map(\.key).filter { weights[$0] == nil && !optional($0) }
    let unexpected = weights.names.filter { !known.contains($0) && !ignoring($0) }
    guard missing.isEmpty, unexpected.isEmpty else {
      let lists = [("missing", missing), ("unexpected", unexpected)].filter { !$0.1.isEmpty }
      throw ApusError(
        .checkpointMismatch, at: file,
        lists.map { "\($0.1.count) \($0.0) tensors (\(Self.abridged($0.1)))" }
          .joined(separator: " and "),
        remedy: "Take config.json and weights from one revision of one checkpoint")
    }
    for (key, parameter) in parameters {
      guard let tensor = weights[key], tensor.shape != parameter.storedShape else { continue }
      throw ApusError(
        .shapeMismatch, at: "\(file), \(key)",
        "config.json promises shape \(parameter.storedShape), the file has \(tensor.shape)",
        remedy: "Take config.json and weights from one revision of one checkpoint")
    }
    for (key, parameter) in parameters {
      if let tensor = weights[key] { parameter.stored = tensor }
    }
  }

  private static func abridged(_ keys: [String]) -> String {
    keys.prefix(4).joined(separator: ", ") + (keys.count > 4 ? ", …" : "")
  }
}

/// A frozen or trainable tensor of a module.
public final class Parameter {
  /// The shape that the configuration promises.
  public let shape: [Int]
  /// The elements; of no value until a checkpoint was loaded. Those of a packed matrix are unpacked
  /// whenever they are asked for.
  public var value: Tensor {
    get { packed.map { $0.unpacked($0.dtype) } ?? plain }
    set { (plain, packed) = (newValue, nil) }
  }
  /// The matrix in fewer bits, if it is kept so.
  public private(set) var packed: (any PackedMatrix)?
  private var plain: Tensor
  /// Whether checkpoints keep the matrix with its axes exchanged.
  public let isStoredTransposed: Bool

  /// A parameter without elements yet.
  public init(_ shape: Int..., isStoredTransposed: Bool = false) {
    self.shape = shape
    self.isStoredTransposed = isStoredTransposed
    plain = Tensor.empty([0])
  }

  /// Keeps a packed matrix instead of the elements.
  ///
  /// - Precondition: Its shape is that of the parameter.
  public func keep(_ packed: any PackedMatrix) {
    precondition(packed.shape == shape, "\(packed.shape) is not \(shape)")
    self.packed = packed
    plain = Tensor.empty([0])
  }

  /// The shape in a checkpoint.
  public var storedShape: [Int] { isStoredTransposed ? shape.reversed() : shape }

  /// The elements as a checkpoint keeps them; a view where the axes are exchanged.
  public var stored: Tensor {
    get { isStoredTransposed ? value.matrixTransposed : value }
    set { value = isStoredTransposed ? newValue.matrixTransposed : newValue }
  }
}

/// A module whose children appear under its own path: a site around a layer.
protocol TransparentModule {}

/// A module without children in the checkpoint: a site whose adapter has files of its own.
protocol LeafModule {}

/// Gives a property another name in the checkpoint, for keys that Swift cannot spell.
@propertyWrapper
public struct Key<Child> {
  /// The child itself.
  public let wrappedValue: Child
  /// The name in the checkpoint.
  public let name: String

  /// Names a child.
  public init(wrappedValue: Child, _ name: String) {
    self.wrappedValue = wrappedValue
    self.name = name
  }
}

private protocol KeyedChild {
  var name: String { get }
  var content: Any { get }
}

extension Key: KeyedChild {
  var content: Any { wrappedValue }
}
