import ApusBase
import ApusFlower
import ApusReports
import ApusSimulation
import Foundation

/// What crosses the wire in each round, beside what the messages weigh: `transport.csv`.
///
/// Unchecked: the observer calls from one thread, and the summary is read after the run.
final class TransportLog: @unchecked Sendable {
  private let file: URL
  private let traffic: FlowerTraffic
  private var before = FlowerTraffic.Count()
  private var payload = (up: 0, down: 0)

  private static let header =
    "round,downlink_bytes,uplink_bytes,sent_bytes,received_bytes,requests,seconds\n"

  /// Opens the log of a run's folder.
  init(_ folder: URL, _ traffic: FlowerTraffic, resuming: Bool) throws(ApusError) {
    file = folder.appending(path: "transport.csv")
    self.traffic = traffic
    if !resuming || !FileManager.default.fileExists(atPath: file.path) {
      try OutputFile.write(Data(Self.header.utf8), to: file.path)
    }
  }

  /// Adds a line for a round that has committed.
  func hear(_ event: SimulationEvent) {
    guard case .roundCommitted(let record) = event else { return }
    let now = traffic.count
    let line = [
      "\(record.index)", "\(record.downlinkBytes)", "\(record.uplinkBytes)",
      "\(now.sentBytes - before.sentBytes)", "\(now.receivedBytes - before.receivedBytes)",
      "\(now.requests - before.requests)", "\(record.wallSeconds)",
    ]
    before = now
    payload.up += record.uplinkBytes
    payload.down += record.downlinkBytes
    // A number that cannot be written down is no reason to stop training.
    guard let handle = try? FileHandle(forWritingTo: file) else { return }
    defer { try? handle.close() }
    _ = try? handle.seekToEnd()
    try? handle.write(contentsOf: Data((line.joined(separator: ",") + "\n").utf8))
  }

  /// One line of totals.
  var summary: String {
    let total = traffic.count
    return "messages \(Quantity.exactBytes(payload.down)) down, "
      + "\(Quantity.exactBytes(payload.up)) up; on the wire "
      + "\(Quantity.exactBytes(total.sentBytes)) sent, "
      + "\(Quantity.exactBytes(total.receivedBytes)) received in \(total.requests) requests"
  }
}
