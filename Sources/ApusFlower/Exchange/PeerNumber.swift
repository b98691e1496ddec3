import ApusBase

/// Numbers and texts of other machines, within the bounds that the rest of Apus counts on.
enum PeerNumber {
  /// Counts are added and multiplied, so they stay far below what an integer holds.
  static let greatest = 1 << 40

  /// A number of rows or rounds.
  ///
  /// - Parameters:
  ///   - value: What was sent.
  ///   - place: Where, for the error.
  /// - Returns: The value as an integer, from 0 to ``greatest``; a fraction is dropped.
  /// - Throws: ``ApusError`` `.invalidMessage` for anything else, NaN included.
  static func count(_ value: Double, at place: String) throws(ApusError) -> Int {
    guard value >= 0, value <= Double(greatest) else {
      throw ApusError(
        .invalidMessage, at: place, "\(value) is no count",
        remedy: "Send a whole number from 0 to \(greatest)")
    }
    return Int(value)
  }
}

extension String {
  /// The text as one line that a terminal may show: no control characters, and an end.
  var asPeerText: String {
    let limit = 1000
    let plain = String.UnicodeScalarView(
      unicodeScalars.prefix(limit).map { scalar in
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse: " "
        default: scalar
        }
      })
    return unicodeScalars.count > limit ? String(plain) + "…" : String(plain)
  }
}
