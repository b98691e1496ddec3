internal import ApusBase
internal import ApusTorch
internal import Foundation

extension GenerativeModel {
  /// The best of several texts that are pursued at the same time, for each input.
  ///
  /// - Source: transformers 5, `GenerationMixin._beam_search`: which candidates are kept, when a
  ///   search ends, and how length counts.
  func searchBeams(
    _ start: GenerationStart<Memory>, _ options: GenerationOptions
  ) throws(ApusError) -> [[Int]] {
    let count = options.numBeams
    let rule = TokenScores(options: options)
    var searches = start.beginnings.map { _ in BeamSearch(options) }
    start.memory.select(searches.indices.flatMap { Array(repeating: $0, count: count) })
    let first = start.logits
    var logits = first.indexSelected(
      0, rows(searches.indices.flatMap { Array(repeating: $0, count: count) }, like: first))
    for step in 0..<options.maxNewTokens {
      let texts = searches.enumerated().flatMap { index, search in
        search.running.map { start.beginnings[index] + $0.tokens }
      }
      let shares = rule.penalized(logSoftmax(logits), rows: texts, written: step)
      let before = Tensor(
        searches.flatMap { $0.running.map { Float($0.score) } }, shape: [texts.count, 1])
      let width = shares.size(1)
      let sums = (shares + before.to(device: shares.device))
        .reshaped([searches.count, count * width])
      let kept = min(max(2, 1 + options.stopTokens.count) * count, count * width)
      let (values, places) = sums.topK(kept, dim: 1)
      let (scores, choices) = (values.doubles, places.ints)
      try Tensor.check("beam search")
      var sources: [Int] = []
      for index in searches.indices {
        let own = (index * kept)..<((index + 1) * kept)
        let candidates = zip(scores[own], choices[own]).map { score, choice in
          (score: score, beam: choice / width, token: choice % width)
        }
        sources += searches[index].advance(candidates).map { index * count + $0 }
      }
      guard step + 1 < options.maxNewTokens, searches.contains(where: { !$0.isDone }) else { break }
      start.memory.select(sources)
      logits = try next(
        after: searches.flatMap { $0.running.map { $0.tokens.last ?? 0 } }, start.memory)
    }
    return searches.map(\.best)
  }

  private func rows(_ indices: [Int], like tensor: Tensor) -> Tensor {
    Tensor(indices, shape: [indices.count]).to(device: tensor.device)
  }
}

/// The beams of one input.
struct BeamSearch {
  /// A text on its way or finished.
  struct Beam {
    var tokens: [Int]
    /// Sum of logarithms of shares; of a finished one divided by its length to the penalty.
    var score: Double
  }

  /// Texts that go on, best first.
  private(set) var running: [Beam]
  /// Whether nothing can change any more.
  private(set) var isDone = false
  private var finished: [Beam] = []
  private let options: GenerationOptions

  /// So low that any other text is better.
  private static let hopeless = -1e9

  /// One empty text, and others that the first step replaces.
  init(_ options: GenerationOptions) {
    self.options = options
    running = (0..<options.numBeams).map {
      Beam(tokens: [], score: $0 == 0 ? 0 : Self.hopeless)
    }
  }

  /// The best text, finished ones first.
  var best: [Int] { finished.first?.tokens ?? running.first?.tokens ?? [] }

  /// Takes the best continuations of all running texts, best first.
  ///
  /// Only the first as many as there are beams can finish; the others are there to go on with.
  ///
  /// - Returns: For each text that goes on, the number of the beam that it continues.
  mutating func advance(
    _ candidates: [(score: Double, beam: Int, token: Int)]
  ) -> [Int] {
    let count = options.numBeams
    let length = (running.first?.tokens.count ?? 0) + 1
    let isLast = length == options.maxNewTokens
    let divisor = pow(Double(length), options.lengthPenalty)
    let isFull = options.earlyStopping == .full && finished.count == count
    let mayFinish = !isDone && !isFull
    var going: [(beam: Beam, source: Int)] = []
    var ended: [(beam: Beam, source: Int)] = []
    for (place, candidate) in candidates.enumerated() {
      let tokens = running[candidate.beam].tokens + [candidate.token]
      let beam = Beam(tokens: tokens, score: candidate.score)
      if isLast || options.stopTokens.contains(candidate.token) {
        ended.append((beam, candidate.beam))
        guard place < count, mayFinish else { continue }
        finished.append(Beam(tokens: tokens, score: candidate.score / divisor))
      } else {
        going.append((beam, candidate.beam))
      }
    }
    finished.sort { $0.score > $1.score }  // stable: of equals, the earlier
    finished.removeLast(max(0, finished.count - count))
    // Where too few go on, ended ones fill the places, never to be taken.
    let spare = ended.map { (Beam(tokens: $0.beam.tokens, score: Self.hopeless), $0.source) }
    let next = Array((going + spare).prefix(count))
    running = next.map(\.0)
    isDone = isDone || isFull || !canImprove(length: length) || going.isEmpty
    return next.map(\.1)
  }

  /// Whether the best running text may still become better than the worst finished one.
  private func canImprove(length: Int) -> Bool {
    guard finished.count == options.numBeams, let worst = finished.last else { return true }
    if options.earlyStopping == .full { return false }
    let isOptimistic = options.earlyStopping == .never && options.lengthPenalty > 0
    let hoped = isOptimistic ? options.maxNewTokens : length
    let best = (running.first?.score ?? Self.hopeless) / pow(Double(hoped), options.lengthPenalty)
    return best > worst.score
  }
}
