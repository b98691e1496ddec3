import ApusBase
import Foundation
import Testing

@testable import ApusReports

@Suite struct TicksLaws {
  @Test(arguments: 0..<100)
  func `ticks cover the range with round, evenly spaced numbers`(seed: UInt64) {
    var random = RandomStream(seed: seed)
    let scale = pow(10, 12 * random.uniform() - 6)
    let low = scale * (random.uniform() - 0.5)
    let high = low + scale * random.uniform()
    for count in 2...12 {
      let ticks = Ticks(covering: [low, high], about: count)
      let slack = ticks.step * 1e-5
      #expect(ticks.range.lowerBound <= low + slack && high - slack <= ticks.range.upperBound)
      // Nothing superfluous, and about as many as asked for.
      #expect(low - ticks.range.lowerBound < ticks.step + slack)
      #expect(ticks.range.upperBound - high < ticks.step + slack)
      #expect((2...2 * count + 2).contains(ticks.values.count))
      let leading = ticks.step / pow(10, (log10(ticks.step) + 1e-9).rounded(.down))
      #expect([1, 2, 5].contains { abs($0 - leading) < 1e-6 })
    }
  }

  @Test(arguments: [
    [], [0], [3.5], [1e-300], [-1e99, 1e99], [5, 5, 5], [.nan], [.infinity, 1], [1e308, 2],
    [1, 1 + 1e-15],
  ])
  func `any values give a finite axis with a length`(values: [Double]) {
    let ticks = Ticks(covering: values, about: 5)
    #expect(ticks.values.allSatisfy { $0.isFinite })
    #expect(ticks.range.lowerBound < ticks.range.upperBound)
    for value in values where Ticks.canShow(value) {
      #expect((-0.001...1.001).contains(ticks.part(value)))
    }
  }

  @Test(arguments: [[1, 3], [1, 1], [1, 200], [0, 7]])
  func `whole axes have whole ticks`(values: [Double]) {
    let ticks = Ticks(covering: values, about: 8, whole: true)
    #expect(ticks.values.allSatisfy { $0 == $0.rounded() })
  }

  @Test(arguments: 0..<60)
  func `neighbouring ticks never have the same label`(seed: UInt64) {
    var random = RandomStream(seed: seed)
    let scale = pow(10, 24 * random.uniform() - 12)
    let low = scale * (random.uniform() - 0.5)
    let ticks = Ticks(covering: [low, low + scale * random.uniform()], about: 7)
    for style in [NumberStyle.number, .percent] {
      let labels = ticks.labels(style)
      #expect(Set(labels).count == labels.count, "\(labels)")
    }
  }

  @Test func `labels are as short as their step allows`() {
    #expect(Ticks(covering: [0, 1], about: 6).labels(.number).first == "0.0")
    #expect(Ticks(covering: [0, 1], about: 6).labels(.percent).last == "100%")
    #expect(
      Ticks(covering: [0, 4e6], about: 5).labels(.bytes) == ["0 B", "1 MB", "2 MB", "3 MB", "4 MB"])
    #expect(Ticks(covering: [0, 4e6], about: 5).labels(.number).last == "4e6")
  }
}
