import Testing

@testable import ApusReports

@Suite struct QuantityLaws {
  @Test(arguments: [
    (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
    (12_345_678, "12.3 MB"), (5_000_000_000, "5.0 GB"), (Int.max, "9.2 EB"), (-1500, "-1.5 kB"),
  ])
  func `bytes come in the decimal unit that keeps them below a thousand`(
    count: Int, text: String
  ) {
    #expect(Quantity.bytes(count) == text)
  }

  @Test(arguments: [
    (0, "0"), (999, "999"), (1000, "1,000"), (-1_234_567, "-1,234,567"),
    (Int.min, "-9,223,372,036,854,775,808"),
  ])
  func `thousands are separated by commas`(count: Int, text: String) {
    #expect(Quantity.count(count) == text)
  }

  @Test func `exact bytes are exact`() {
    #expect(Quantity.exactBytes(12_345_678) == "12,345,678 B")
  }

  @Test(arguments: [
    (0, "0 ms"), (0.35, "350 ms"), (0.9996, "1.0 s"), (1.24, "1.2 s"), (59.96, "1 min 00 s"),
    (123, "2 min 03 s"), (3599.6, "1 h 00 min"), (11_100, "3 h 05 min"), (86_399, "1 d 00 h"),
    (187_200, "2 d 04 h"), (-2, "-2.0 s"), (Double.infinity, "unknown time"),
    (Double.nan, "unknown time"),
  ])
  func `a duration is rounded before its unit is chosen`(seconds: Double, text: String) {
    #expect(Quantity.duration(seconds: seconds) == text)
  }

  @Test func `a duration reads the same from either type`() {
    #expect(Quantity.duration(.milliseconds(123_400)) == Quantity.duration(seconds: 123.4))
  }

  @Test func `a share is a percentage, and zero has no sign`() {
    #expect(Quantity.percent(0.9131) == "91.3%")
    #expect(Quantity.percent(1, digits: 0) == "100%")
    #expect(Quantity.percent(.nan) == "NaN")
    #expect(Quantity.number(-0.0001, digits: 2) == "0.00")
    #expect(Quantity.number(-.infinity, digits: 2) == "-inf")
  }
}
