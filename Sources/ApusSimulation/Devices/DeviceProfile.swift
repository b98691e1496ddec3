public import ApusBase
public import ApusCore

/// What a client's device can do, for virtual time and energy.
///
/// The defaults describe an ideal device, which needs no time and no energy: a speed of 0 stands
/// for one that costs nothing.
public struct DeviceProfile: OptionGroup, Hashable {
  /// Name of the profile.
  public var name = "ideal"
  /// Peak arithmetic speed in FLOP/s; 0 for steps that take no time.
  public var flopsPerSecond = 0.0
  /// Share of the peak that training reaches, above 0, at most 1.
  public var utilization = 1.0
  /// Optimizer steps per second as measured; 0 to compute them from FLOP/s.
  public var stepsPerSecond = 0.0
  /// Speed of the uplink; 0 for sending that takes no time.
  public var uplinkBytesPerSecond = 0.0
  /// Speed of the downlink; 0 for receiving that takes no time.
  public var downlinkBytesPerSecond = 0.0
  /// Memory for training, in bytes, or 0 for enough; a client that needs more takes no part.
  public var memoryBytes = 0.0
  /// Power drawn while computing or sending, in watts.
  public var watts = 0.0
  /// Probability that the device is lost before its upload.
  public var dropoutBeforeUpload = 0.0
  /// Probability that it is lost after its upload, which counts; protocols that need a client
  /// once more after its upload, such as secure aggregation, see it in the client's record.
  public var dropoutAfterUpload = 0.0
  /// σ of the log-normal factor, with median 1, on the time of a step.
  public var jitter = 0.0

  public init() {}

  public func validate() throws(ApusError) {
    try require(
      utilization > 0 && utilization <= 1, "utilization", "\(utilization) is no share",
      remedy: "Give a number above 0, at most 1")
    let amounts = [
      ("flops-per-second", flopsPerSecond), ("steps-per-second", stepsPerSecond),
      ("uplink-bytes-per-second", uplinkBytesPerSecond),
      ("downlink-bytes-per-second", downlinkBytesPerSecond), ("memory-bytes", memoryBytes),
      ("watts", watts), ("jitter", jitter),
    ]
    for (key, value) in amounts {
      try require(
        value >= 0 && value.isFinite, key, "\(value) is negative or infinite",
        remedy: "Give a number ≥ 0")
    }
    let losses = [
      ("dropout-before-upload", dropoutBeforeUpload), ("dropout-after-upload", dropoutAfterUpload),
    ]
    for (key, value) in losses {
      try require(
        (0...1).contains(value), key, "\(value) is no probability",
        remedy: "Give a number between 0 and 1")
    }
  }

  /// Seconds of one optimizer step, without jitter.
  public func secondsPerStep(of workload: Workload) -> Double {
    guard stepsPerSecond == 0 else { return 1 / stepsPerSecond }
    return Self.seconds(workload.flopsPerStep, at: flopsPerSecond * utilization)
  }

  /// Seconds of sending, without jitter.
  public func secondsUp(bytes: Int) -> Double {
    Self.seconds(Double(bytes), at: uplinkBytesPerSecond)
  }

  /// Seconds of receiving, without jitter.
  public func secondsDown(bytes: Int) -> Double {
    Self.seconds(Double(bytes), at: downlinkBytesPerSecond)
  }

  /// What methods learn of the device.
  public func traits(for workload: Workload) -> DeviceTraits {
    DeviceTraits(
      name: name, secondsPerStep: secondsPerStep(of: workload),
      uplinkBytesPerSecond: uplinkBytesPerSecond, jitter: jitter)
  }

  /// Whether the device's memory is enough.
  public func holds(_ workload: Workload) -> Bool {
    memoryBytes == 0 || workload.memoryBytes <= memoryBytes
  }

  private static func seconds(_ amount: Double, at speed: Double) -> Double {
    speed > 0 ? amount / speed : 0
  }
}

/// What one client's training asks of a device.
public struct Workload: OptionGroup, Equatable {
  /// Floating-point operations of one optimizer step.
  public var flopsPerStep = 0.0
  /// Memory of training, in bytes.
  public var memoryBytes = 0.0

  public init() {}

  public func validate() throws(ApusError) {
    for (key, value) in [("flops-per-step", flopsPerStep), ("memory-bytes", memoryBytes)] {
      try require(
        value >= 0 && value.isFinite, key, "\(value) is negative or infinite",
        remedy: "Give a number ≥ 0")
    }
  }
}
