/// A group of settings that an experiment file can set by name.
///
/// Its stored properties are the settings: `localEpochs` is written `local-epochs`. Each has its
/// default in the declaration, once.
public protocol OptionGroup: Codable, Sendable {
  /// All defaults.
  init()

  /// Refuses values that make no sense.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` whose location is the setting's name.
  func validate() throws(ApusError)
}

extension OptionGroup {
  public func validate() throws(ApusError) {}

  /// Throws `.invalidConfig` for the setting `name` unless the condition holds.
  public func require(
    _ condition: Bool, _ name: String, _ problem: @autoclosure () -> String, remedy: String
  ) throws(ApusError) {
    guard !condition else { return }
    throw ApusError(.invalidConfig, at: name, problem(), remedy: remedy)
  }
}
