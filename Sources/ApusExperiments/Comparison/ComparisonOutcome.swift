public import ApusBase
public import ApusSimulation
import Foundation

/// What one entry of a comparison came to, over its seeds.
public struct ComparisonOutcome: Sendable {
  /// A mean over seeds with its standard deviation, of the sample; 0 for one seed.
  public struct Spread: Sendable, Equatable {
    /// Mean over the seeds.
    public let mean: Double
    /// Standard deviation over the seeds, with n − 1.
    public let deviation: Double

    /// Measures values; nil without any.
    public init?(_ values: [Double]) {
      guard !values.isEmpty else { return nil }
      let mean = values.reduce(0, +) / Double(values.count)
      let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      self.mean = mean
      deviation = values.count < 2 ? 0 : (squares / Double(values.count - 1)).squareRoot()
    }
  }

  /// A value of the curves.
  public struct Point: Sendable, Equatable {
    /// After which round, from 0.
    public let round: Int
    /// Mean over the seeds of the bytes that had crossed by then, both ways.
    public let bytes: Double
    /// Mean over the seeds.
    public let value: Double
  }

  /// Name of the entry.
  public let entry: String
  /// Number of finished runs.
  public let runs: Int
  /// The metric of the global model at the end; nil if the method makes none.
  public let global: Spread?
  /// Mean over the clients of the metric of what each uses, on its own rows, at the end; nil if it
  /// was not measured.
  public let personal: Spread?
  /// The same of the client that is off worst.
  public let worstClient: Spread?
  /// Standard deviation over the clients.
  public let clientSpread: Spread?
  /// Bytes from clients of a whole run.
  public let uplinkBytes: Double
  /// Bytes to clients of a whole run.
  public let downlinkBytes: Double
  /// Number of parameters that cross.
  public let sharedParameters: Double?
  /// Number of parameters that each client has for itself.
  public let personalParameters: Double?
  /// Mean rank of the clients of the last round, where ranks differ.
  public let meanRank: Spread?
  /// ‖Σ pBA − B̄Ā‖ / ‖Σ pBA‖ of the last round that was measured, where the method averages LoRA.
  public let aggregationBias: Spread?
  /// Rounds, counted from 1, until the target was met, over the runs that met it.
  public let roundsToTarget: Spread?
  /// Bytes that had crossed by then.
  public let bytesToTarget: Spread?
  /// Number of runs that met the target.
  public let reached: Int
  /// Seconds of a run.
  public let seconds: Spread?
  /// The metric by round: of the global model where there is one, else of the clients' own.
  public let curve: [Point]

  /// Reads the runs of one entry.
  ///
  /// - Parameters:
  ///   - entry: Its name.
  ///   - archives: Its finished runs.
  ///   - metric: What is compared, as runs record it.
  ///   - target: Its value whose first round is looked for; 0 for none.
  /// - Throws: ``ApusError`` `.invalidFile` if a run's database is damaged.
  public init(
    entry: String, _ archives: [RunArchive], metric: String, target: Double
  ) throws(ApusError) {
    var courses: [RunCourse] = []
    for archive in archives { courses.append(try RunCourse(archive, metric: metric)) }
    self.entry = entry
    runs = courses.count
    global = Spread(courses.compactMap { $0.global.last?.value })
    personal = Spread(courses.compactMap { $0.personal.last?.value })
    worstClient = Spread(courses.compactMap(\.worstClient))
    clientSpread = Spread(courses.compactMap(\.clientDeviation))
    uplinkBytes = Spread(courses.map(\.uplinkBytes))?.mean ?? 0
    downlinkBytes = Spread(courses.map(\.downlinkBytes))?.mean ?? 0
    seconds = Spread(courses.map(\.seconds))
    func latest(_ scope: String, _ metric: String) -> Spread? {
      Spread(courses.compactMap { $0.metrics.latest(scope, metric) })
    }
    sharedParameters = latest("run", "shared_parameters")?.mean
    personalParameters = latest("run", "personal_parameters")?.mean
    meanRank = latest("server", "mean_rank")
    aggregationBias = latest("server", "aggregation_bias")
    let hits = target == 0 ? [] : courses.compactMap { $0.first(reaching: target) }
    roundsToTarget = Spread(hits.map { Double($0.round + 1) })
    bytesToTarget = Spread(hits.map(\.bytes))
    reached = hits.count
    curve = Self.mean(of: courses.map(\.curve))
  }

  /// Means at the rounds that all runs measured.
  private static func mean(of curves: [[Point]]) -> [Point] {
    guard let first = curves.first else { return [] }
    return first.compactMap { point in
      let same = curves.compactMap { curve in curve.first { $0.round == point.round } }
      guard same.count == curves.count else { return nil }
      let count = Double(same.count)
      return Point(
        round: point.round, bytes: same.reduce(0) { $0 + $1.bytes } / count,
        value: same.reduce(0) { $0 + $1.value } / count)
    }
  }
}

/// One run as a comparison sees it.
private struct RunCourse {
  typealias Point = ComparisonOutcome.Point

  let metrics: [MetricRow]
  let global: [Point]
  let personal: [Point]
  let worstClient: Double?
  let clientDeviation: Double?
  let uplinkBytes: Double
  let downlinkBytes: Double
  let seconds: Double
  private let lowerIsBetter: Bool

  /// The global model's numbers where there are any.
  var curve: [Point] { global.isEmpty ? personal : global }

  init(_ archive: RunArchive, metric: String) throws(ApusError) {
    let rounds = try archive.rounds()
    let metrics = try archive.metrics()
    self.metrics = metrics
    func points(_ scope: String, _ name: String) -> [Point] {
      metrics.filter { $0.scope == scope && $0.metric == name }.map { row in
        let before = rounds.prefix { $0.index <= row.round }
        let bytes = before.reduce(0) { $0 + $1.uplinkBytes + $1.downlinkBytes }
        return Point(round: row.round, bytes: Double(bytes), value: row.value)
      }
    }
    global = points("global/test", metric)
    personal = points("clients/test", "\(metric).mean")
    worstClient = metrics.latest("clients/test", "\(metric).worst")
    clientDeviation = metrics.latest("clients/test", "\(metric).deviation")
    uplinkBytes = Double(rounds.reduce(0) { $0 + $1.uplinkBytes })
    downlinkBytes = Double(rounds.reduce(0) { $0 + $1.downlinkBytes })
    seconds = rounds.reduce(0) { $0 + $1.wallSeconds }
    lowerIsBetter = ClientSpread.lowerIsBetter(metric)
  }

  func first(reaching target: Double) -> Point? {
    curve.first { lowerIsBetter ? $0.value <= target : $0.value >= target }
  }
}
