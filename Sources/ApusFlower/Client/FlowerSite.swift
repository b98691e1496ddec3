public import ApusBase
public import ApusSimulation
import Crypto
public import Foundation

/// What a process behind Flower knows of the experiment.
public struct FlowerSite: Sendable {
  /// Everything that decides the bits of a run, by dotted key.
  public let settings: [String: String]
  /// Seed of all chance.
  public let seed: UInt64
  /// Rounds of the whole run.
  public let rounds: Int
  /// All clients of the federation, in order of their index.
  public let clients: [FederationClient]
  /// Runs the clients of this machine.
  public let runner: any ClientRunner

  /// Collects what a process knows.
  ///
  /// - Parameters:
  ///   - settings: Everything that decides the bits of a run, by dotted key.
  ///   - seed: Seed of all chance.
  ///   - rounds: Rounds of the whole run.
  ///   - clients: All clients of the federation, in order of their index.
  ///   - runner: Runs the clients of this machine.
  public init(
    settings: [String: String], seed: UInt64, rounds: Int, clients: [FederationClient],
    runner: any ClientRunner
  ) {
    self.settings = settings
    self.seed = seed
    self.rounds = rounds
    self.clients = clients
    self.runner = runner
  }

  /// The same, with settings that name files standing for what is in these.
  ///
  /// All machines must read the same there, each from where it has it.
  ///
  /// - Parameter files: The files by the dotted keys of their settings.
  /// - Returns: A site whose settings tell their SHA-256 instead of their paths.
  /// - Throws: ``ApusError`` `.fileAccess` if one cannot be read.
  public func comparing(contentsOf files: [String: URL]) throws(ApusError) -> FlowerSite {
    var settings = settings
    for (key, file) in files {
      do { settings[key] = SHA256.hash(data: try Data(contentsOf: file)).hexadecimal } catch {
        throw ApusError(
          .fileAccess, at: "\(key), \(file.path)", "the file cannot be read",
          remedy: "Check the path", cause: error)
      }
    }
    return FlowerSite(
      settings: settings, seed: seed, rounds: rounds, clients: clients, runner: runner)
  }

  var greeting: Greeting { Greeting(settings: settings, seed: seed) }

  /// Makes a site for what a run sets over the experiment file, such as `federation.rounds=3`.
  public typealias Maker = @Sendable ([String]) throws -> FlowerSite
}

/// The site of the latest run; loading a model takes longer than a round of a small one.
actor SiteCache {
  private let make: FlowerSite.Maker
  private var latest: (assignments: [String], site: FlowerSite)

  init(_ site: FlowerSite, _ make: @escaping FlowerSite.Maker) {
    latest = ([], site)
    self.make = make
  }

  func site(_ assignments: [String]) throws -> FlowerSite {
    if latest.assignments != assignments { latest = (assignments, try make(assignments)) }
    return latest.site
  }
}
