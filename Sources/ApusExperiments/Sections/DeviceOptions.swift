public import ApusBase
public import ApusSimulation

/// Section `devices`: what clients run on, for virtual time, energy and dropouts.
public struct DeviceOptions: OptionGroup, Equatable {
  /// A mix of the catalogue, or `custom` for one device that `profile` describes.
  public var fleet = "ideal"
  /// The device of every client in a custom fleet.
  public var profile = DeviceProfile()

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      fleet == "custom" || Fleet.names.contains(fleet), "fleet", "there is no fleet \"\(fleet)\"",
      remedy: Spelling.remedy(for: fleet, allowed: Fleet.names + ["custom"]))
    try require(
      fleet == "custom" || profile == DeviceProfile(), "profile",
      "the fleet \"\(fleet)\" has devices of its own", remedy: "Set fleet to custom")
  }

  /// The devices of a run with this root stream.
  public func makeFleet(root: RandomStream) throws(ApusError) -> Fleet {
    fleet == "custom" ? Fleet(all: profile) : try Fleet(named: fleet, root: root)
  }
}
