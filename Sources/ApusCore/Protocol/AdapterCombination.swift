/// Whether a method's server can combine adapters that were trained elsewhere, with no run around
/// them, and of what.
public enum AdapterCombination: Sendable, Equatable {
  /// Of A, B and the head of each.
  case wholeAdapters
  /// Of one factor of each, beside the other, which all have in common: that of the first round, or
  /// that of a later one if these are what differs.
  case oneFactor([TensorRoles])
  /// Not at all, for a reason that completes "It cannot, because …".
  case impossible(because: String)
}
