import ApusBase
import ApusTestSupport
import Foundation
import Testing

/// The command is killed, interrupted and refused space; no committed round is lost.
@Suite(.serialized) struct RecoveryLaws {
  @Test func `kill -9 at five random moments, then resume, gives the same bits`() throws {
    let tiny = try TinyFederation(rounds: 4)
    let whole = try CommandProcess.run(
      ["run", "tiny.yaml", "--name", "whole", "--json"], in: tiny.folder)
    #expect(whole.status == 0, "\(whole.errors)")
    let lines = whole.output.split(separator: "\n").count
    var random = RandomStream(seed: 17)
    for attempt in 0..<5 {
      let name = "killed-\(attempt)"
      let moment = 1 + random.integer(below: lines - 2)
      let end = try CommandProcess.run(
        ["run", "tiny.yaml", "--name", name, "--json"], in: tiny.folder, signalling: SIGKILL,
        afterLines: moment)
      #expect(end.reason == .uncaughtSignal)
      let resumed = try CommandProcess.run(
        ["run", "tiny.yaml", "--name", name, "--resume", "--quiet"], in: tiny.folder)
      #expect(resumed.status == 0, "after line \(moment): \(resumed.errors)")
      #expect(try adapter(name, tiny) == adapter("whole", tiny), "killed after line \(moment)")
    }
  }

  @Test func `Ctrl-C ends at a resumable point and says so`() throws {
    let tiny = try TinyFederation(rounds: 6)
    let end = try CommandProcess.run(
      ["run", "tiny.yaml", "--json"], in: tiny.folder, signalling: SIGINT, afterLines: 4)
    #expect(end.reason == .exit)
    #expect(end.status == 130)
    let resumed = try CommandProcess.run(
      ["run", "tiny.yaml", "--resume", "--quiet"], in: tiny.folder)
    #expect(resumed.status == 0, "\(resumed.errors)")
    let whole = try CommandProcess.run(
      ["run", "tiny.yaml", "--name", "whole", "--quiet"], in: tiny.folder)
    #expect(whole.status == 0, "\(whole.errors)")
    #expect(try adapter("tiny", tiny) == adapter("whole", tiny))
  }

  @Test func `a second run of the same name is refused and the first stays`() throws {
    let tiny = try TinyFederation(rounds: 1)
    #expect(try CommandProcess.run(["run", "tiny.yaml", "--quiet"], in: tiny.folder).status == 0)
    let before = try adapter("tiny", tiny)
    let again = try CommandProcess.run(["run", "tiny.yaml", "--quiet"], in: tiny.folder)
    #expect(again.status == 73)
    #expect(again.errors.contains("there is a run already"))
    #expect(try adapter("tiny", tiny) == before)
    let other = try CommandProcess.run(
      ["run", "tiny.yaml", "--resume", "--quiet", "--set", "training.learning-rate=0.5"],
      in: tiny.folder)
    #expect(other.errors.contains("training.learning-rate"))
  }

  private func adapter(_ name: String, _ tiny: TinyFederation) throws -> Data {
    try Data(
      contentsOf: tiny.folder.appending(path: "runs/\(name)/adapter/adapter_model.safetensors"))
  }
}
