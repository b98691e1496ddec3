/// What trainable tensors are to a method that thinks in LoRA factors, told by their names.
///
/// One choice of roles drives what trains, what is sent, what is averaged and what stays on a
/// client, so that the four cannot disagree. The names are those of Hugging Face PEFT, on which
/// client and server agree without a message.
public struct TensorRoles: OptionSet, Sendable, Hashable {
  public let rawValue: Int

  public init(rawValue: Int) { self.rawValue = rawValue }

  /// A [r, d_in], the factor next to the input.
  public static let a = TensorRoles(rawValue: 1)
  /// B [d_out, r], the factor next to the output.
  public static let b = TensorRoles(rawValue: 2)
  /// The head, and whatever else trains beside the factors.
  public static let head = TensorRoles(rawValue: 4)
  /// What a method adds at the sites: further adapters, gates, factors of the ranks.
  public static let further = TensorRoles(rawValue: 8)
  /// What a method adds beside the model: a companion, tensors of its own.
  public static let beside = TensorRoles(rawValue: 16)
  /// Everything that trains of the standard adapter and the head.
  public static let all: TensorRoles = [.a, .b, .head]

  /// The role of the tensor of this name.
  public init(of name: String) {
    let parts = name.split(separator: ".")
    if parts.first == "companion" || parts.first == "own" {
      self = .beside
    } else if let adapter = AdapterName.of(name), adapter != AdapterName.standard {
      self = .further
    } else if parts.contains("adapter_gate") || parts.contains("lora_diagonal") {
      self = .further
    } else {
      self = parts.contains("lora_A") ? .a : parts.contains("lora_B") ? .b : .head
    }
  }

  /// Whether the tensor of this name has one of these roles.
  public func contains(named name: String) -> Bool { contains(TensorRoles(of: name)) }

  /// The factor that learns in this round, while the other one is frozen.
  ///
  /// B goes first: while B = 0 the gradient of A is zero. The round's index is the clock, as a
  /// client that counted its own rounds would fall out of step when it is not drawn.
  ///
  /// - Parameter round: The round, counted from 0.
  /// - Returns: ``b`` in even rounds, ``a`` in odd ones.
  /// - Source: Chen et al., arXiv 2502.01755, where rounds are counted from 1.
  public static func alternating(in round: Round) -> TensorRoles {
    round.index.isMultiple(of: 2) ? .b : .a
  }
}

extension NamedTensors {
  /// Only the tensors that have one of these roles.
  public func filtered(_ roles: TensorRoles) -> NamedTensors { filtered(roles.contains(named:)) }
}
