import ApusBase
import ApusCore
import ApusSimulation
import Testing

@Suite struct SystemHeterogeneityLaws {
  private func clients(_ steps: [Int]) -> [FederationClient] {
    steps.enumerated().map { index, steps in
      FederationClient(
        id: ClientID(index: index, name: "client-\(index)"), sampleCount: steps, localSteps: steps)
    }
  }

  private var device: DeviceProfile {
    var device = DeviceProfile()
    device.stepsPerSecond = 2
    device.uplinkBytesPerSecond = 100
    device.downlinkBytesPerSecond = 200
    return device
  }

  @Test func `time is receiving, steps and sending`() {
    let system = SystemHeterogeneity(
      Fleet(all: device), clients([10]), Workload(), bytes: 400)
    #expect(system.seconds == [2 + 5 + 4])
    #expect(system.spread == 1)
  }

  @Test func `the spread is the 90th over the 10th percentile`() throws {
    // Steps 0…10 at two a second, and no traffic: T = 0, 0.5, …, 5; percentiles 0.5 and 4.5.
    let system = SystemHeterogeneity(
      Fleet(all: device), clients(Array(0...10)), Workload(), bytes: 0)
    #expect(abs(try #require(system.spread) - 9) < 1e-12)
  }

  @Test func `devices that need no time have no spread`() {
    let system = SystemHeterogeneity(Fleet(), clients([3, 4]), Workload(), bytes: 10)
    #expect(system.spread == nil)
  }
}
