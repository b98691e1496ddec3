import ApusTorch

/// How far a client's classes lie from the same classes elsewhere, in feature space.
struct ClassShift {
  /// CNIₖ of each client; nil if no class of its rows occurs elsewhere.
  let indices: [Double?]

  /// Compares each client with all others, class by class.
  ///
  /// - Parameters:
  ///   - features: Rows of each client [nₖ, D], float64.
  ///   - labels: Class of each of these rows.
  init(_ features: [Tensor], _ labels: [[Int]]) {
    let deviation = concatenated(features).variance([0], correction: 0)
    let scale = (deviation + 1e-12).power(-0.5)
    var sums: [[Int: (sum: Tensor, count: Int)]] = []
    var totals: [Int: (sum: Tensor, count: Int)] = [:]
    for (rows, labels) in zip(features, labels) {
      var own: [Int: (sum: Tensor, count: Int)] = [:]
      for (label, places) in Dictionary(grouping: labels.indices, by: { labels[$0] }) {
        let sum = rows.indexSelected(0, Tensor(places, shape: [places.count])).sum([0])
        own[label] = (sum, places.count)
        totals[label] =
          totals[label].map { ($0.sum + sum, $0.count + places.count) }
          ?? (sum, places.count)
      }
      sums.append(own)
    }
    indices = sums.map { own in
      let shifts = own.sorted { $0.key < $1.key }.compactMap { label, here -> Double? in
        guard let all = totals[label], all.count > here.count else { return nil }
        let elsewhere = (all.sum - here.sum) / Double(all.count - here.count)
        return ((here.sum / Double(here.count) - elsewhere) * scale).norm().item
      }
      return shifts.isEmpty ? nil : shifts.reduce(0, +) / Double(shifts.count)
    }
  }
}
