public import ApusBase

extension DeviceProfile {
  /// The device that needs no time and no energy.
  public static let ideal = DeviceProfile()

  /// A node of a data centre with one accelerator.
  public static let server = DeviceProfile(
    "server", flops: 100e12, utilization: 0.4, up: 125e6, down: 125e6, memory: 40e9, watts: 400,
    jitter: 0.05)

  /// A workstation with a desktop graphics card, behind an office line.
  public static let workstation = DeviceProfile(
    "workstation", flops: 20e12, utilization: 0.3, up: 12.5e6, down: 12.5e6, memory: 12e9,
    watts: 250, jitter: 0.1)

  /// A laptop that trains on its processor, behind a home line.
  public static let laptop = DeviceProfile(
    "laptop", flops: 1e12, utilization: 0.3, up: 2.5e6, down: 12.5e6, memory: 8e9, watts: 30,
    jitter: 0.2)

  /// A phone on a wireless network.
  public static let phone = DeviceProfile(
    "phone", flops: 0.5e12, utilization: 0.2, up: 1.25e6, down: 5e6, memory: 3e9, watts: 5,
    dropout: 0.05, jitter: 0.4)

  /// A single-board computer on a slow line.
  public static let board = DeviceProfile(
    "board", flops: 0.05e12, utilization: 0.3, up: 0.25e6, down: 1e6, memory: 2e9, watts: 8,
    dropout: 0.02, jitter: 0.3)

  /// All named profiles.
  ///
  /// Their numbers are round orders of magnitude, not measurements.
  public static let catalog = [ideal, server, workstation, laptop, phone, board]

  /// The profile of this name.
  ///
  /// - Throws: ``ApusError`` `.invalidConfig` for an unknown name.
  public static func named(_ name: String) throws(ApusError) -> DeviceProfile {
    if let profile = catalog.first(where: { $0.name == name }) { return profile }
    throw ApusError(
      .invalidConfig, at: "device", "there is no device profile \"\(name)\"",
      remedy: Spelling.remedy(for: name, allowed: catalog.map(\.name)))
  }

  private init(
    _ name: String, flops: Double, utilization: Double, up: Double, down: Double, memory: Double,
    watts: Double, dropout: Double = 0, jitter: Double
  ) {
    self.init()
    self.name = name
    flopsPerSecond = flops
    self.utilization = utilization
    uplinkBytesPerSecond = up
    downlinkBytesPerSecond = down
    memoryBytes = memory
    self.watts = watts
    dropoutBeforeUpload = dropout
    self.jitter = jitter
  }
}
