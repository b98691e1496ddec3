import ApusBase
import ApusCore
import ApusTorch
import ArgumentParser
import Foundation

/// The server's mean over many large updates, against copying the same bytes.
struct AggregateBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "aggregate", abstract: "Gigabytes of updates averaged in a second.")

  @Option(help: "Number of updates.")
  var updates = 10_000

  @Option(help: "Parameters of one update.")
  var parameters = 1_000_000

  func run() throws {
    // Updates that differ, together larger than any cache.
    var stream = RandomStream(seed: 1)
    let pool = (0..<16).map { _ in
      NamedTensors(["a": Tensor.normal([parameters], stream: &stream)])
    }
    try Tensor.check("updates")
    let before = peakMegabytes()
    let clock = ContinuousClock()
    var mean = WeightedMean(like: pool[0])
    let begin = clock.now
    for index in 0..<updates {
      try mean.absorb(pool[index % pool.count], weight: Double(1 + index % 7), at: "update")
    }
    let result = mean.finish()
    let seconds = (clock.now - begin) / .seconds(1)
    let bytes = Double(updates) * Double(parameters) * 4
    let floor = copySeconds(pool, clock)
    print("\(updates) updates of \(parameters) parameters: \(format(seconds)) s")
    print("updates   \(format(bytes / seconds / 1e9)) GB/s")
    print("copying   \(format(bytes / floor / 1e9)) GB/s")
    print("ratio     \(format(seconds / floor)) of the time of a copy")
    print("memory    \(format(peakMegabytes() - before)) MB more than the updates themselves")
    print("mean norm \(format(result?["a"]?.norm().item ?? .nan))")
  }

  /// Seconds that copying the same bytes takes: a pass of reads and writes over memory.
  private func copySeconds(_ pool: [NamedTensors], _ clock: ContinuousClock) -> Double {
    let targets = pool.map { $0.copied() }
    let begin = clock.now
    for index in 0..<updates {
      let (source, target) = (pool[index % pool.count]["a"], targets[index % pool.count]["a"])
      if let source { target?.assignInPlace(source) }
    }
    return (clock.now - begin) / .seconds(1)
  }
}

/// The process's peak of resident memory so far.
func peakMegabytes() -> Double {
  var usage = rusage()
  getrusage(.init(RUSAGE_SELF.rawValue), &usage)
  return Double(usage.ru_maxrss) / 1_000
}

/// Time that all threads of the process have computed so far, which others on the machine do not
/// lengthen.
func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
