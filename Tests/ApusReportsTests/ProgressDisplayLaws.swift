import Foundation
import Testing

@testable import ApusReports

@Suite struct ProgressDisplayLaws {
  /// Plays a run of two rounds with two clients each; a second passes before every event.
  private func play(_ display: ProgressDisplay, on stage: ProgressStage) {
    let events: [ProgressEvent] = [
      .runStarted(title: "FedIT on AG News", rounds: 2),
      .evaluation(round: 0, accuracy: 0.25, loss: 1.386),
      .roundStarted(round: 1, cohortSize: 2),
      .clientFinished(round: 1, client: "a", loss: 1),
      .notice("client a\nhas one class\u{1B}[2J"),
      .clientFinished(round: 1, client: "b", loss: 2),
      .roundFinished(round: 1, seconds: 4, uplinkBytes: 1_500_000, downlinkBytes: 2_000_000),
      .evaluation(round: 1, accuracy: 0.5, loss: nil),
      .roundStarted(round: 2, cohortSize: 2),
      .clientFinished(round: 2, client: "b", loss: .nan),
      .roundFinished(round: 2, seconds: 2, uplinkBytes: 500_000, downlinkBytes: 1_000_000),
      .runFinished,
    ]
    for event in events {
      stage.wait(.seconds(1))
      display.report(event)
    }
  }

  @Test func `plain progress is a line a round, an evaluation and a notice`() {
    let stage = ProgressStage(.plain, on: .sample(color: true))
    play(stage.makeDisplay(), on: stage)
    #expect(
      stage.output == """
        FedIT on AG News: 2 rounds
        before training: accuracy 25.0%, loss 1.3860
        note: client a has one class\u{FFFD}[2J
        round 1/2: done in 4.0 s, 2 of 2 clients, training loss 1.5000, up 1.5 MB, down 2.0 MB, \
        about 4 s left
        round 1/2: accuracy 50.0%
        round 2/2: done in 2.0 s, 1 of 2 clients, training loss NaN, up 500.0 kB, down 1.0 MB
        finished 2 of 2 rounds in 11.0 s, accuracy 50.0%, up 2.0 MB, down 3.0 MB

        """)
    #expect(!stage.output.contains("\u{1B}"))
  }

  @Test func `live progress becomes plain where nothing can be repainted`() {
    let stage = ProgressStage(.live, on: .sample(isTTY: false))
    play(stage.makeDisplay(), on: stage)
    #expect(!stage.output.contains("\u{1B}"))
    #expect(stage.lines.count == 7)
  }

  @Test func `quiet progress is nothing`() {
    let stage = ProgressStage(.quiet)
    play(stage.makeDisplay(), on: stage)
    #expect(stage.output.isEmpty)
  }

  @Test func `JSON progress is one object an event`() throws {
    let stage = ProgressStage(.json)
    play(stage.makeDisplay(), on: stage)
    let objects = try stage.lines.map {
      try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    #expect(objects.count == 12)
    #expect(objects.first?["event"] as? String == "runStarted")
    #expect(objects[4]["text"] as? String == "client a\nhas one class\u{1B}[2J")
    #expect(objects[6]["uplinkBytes"] as? Int == 1_500_000)
    #expect(objects[6]["elapsedSeconds"] as? Double == 6)
    #expect(objects[7]["loss"] is NSNull)
    #expect(objects[9]["loss"] is NSNull)
    #expect(objects.last?["event"] as? String == "runFinished")
  }

  @Test func `a long round without news gives a sign of life every 20 s`() {
    let stage = ProgressStage(.plain)
    let display = stage.makeDisplay()
    display.report(.runStarted(title: "run", rounds: 3))
    display.report(.roundStarted(round: 1, cohortSize: 8))
    for _ in 0..<599 {
      stage.wait(.milliseconds(100))
      display.refresh()
    }
    #expect(
      stage.lines == [
        "run: 3 rounds", "round 1/3: 0 of 8 clients after 20.0 s",
        "round 1/3: 0 of 8 clients after 40.0 s",
      ])
  }

  @Test func `preparation and evaluation give signs of life too, a finished run none`() {
    let stage = ProgressStage(.plain)
    let display = stage.makeDisplay()
    func waitAndRefresh() {
      stage.wait(.seconds(25))
      display.refresh()
    }
    waitAndRefresh()
    display.report(.runStarted(title: "run", rounds: 1))
    waitAndRefresh()
    display.report(.roundStarted(round: 1, cohortSize: 1))
    display.report(.roundFinished(round: 1, seconds: 1, uplinkBytes: 0, downlinkBytes: 0))
    waitAndRefresh()
    display.report(.runFinished)
    waitAndRefresh()
    #expect(stage.lines.count == 5)
    #expect(stage.lines[1] == "still preparing after 25.0 s")
    #expect(stage.lines[3] == "round 1/1: still working 25.0 s after its end")
  }
}

@Suite struct LiveProgressLaws {
  private func begin(_ display: ProgressDisplay, _ stage: ProgressStage) {
    display.report(.runStarted(title: "FedIT on AG News", rounds: 4))
    stage.wait(.seconds(2))
    display.report(.roundStarted(round: 1, cohortSize: 2))
    stage.wait(.seconds(2))
    display.report(.clientFinished(round: 1, client: "a", loss: 0.5))
  }

  @Test func `the block shows round, clients, loss and estimate`() {
    let stage = ProgressStage(.live)
    let display = stage.makeDisplay()
    begin(display, stage)
    let screen = Screen(showing: stage.output)
    #expect(
      screen.lines == [
        "FedIT on AG News",
        "███░░░░░░░░░░░░░░░░░░░░░░░ round 1/4 · 4.0 s · about 14 s left",
        "⠋ 1/2 clients · loss 0.5000 · up 0 B, down 0 B",
      ])
    #expect(!screen.isCursorVisible)
  }

  @Test func `without colour a live block holds no colour code`() {
    let stage = ProgressStage(.live, on: .sample(color: false))
    let display = stage.makeDisplay()
    begin(display, stage)
    display.report(.notice("careful"))
    display.report(.runFinished)
    #expect(stage.output.firstMatch(of: #/\u{1B}\[[0-9;]*m/#) == nil)
  }

  @Test func `time alone moves the block, but not more than ten times a second`() {
    let stage = ProgressStage(.live)
    let display = stage.makeDisplay()
    begin(display, stage)
    let before = stage.output.count
    display.refresh()
    stage.wait(.milliseconds(99))
    display.report(.clientFinished(round: 1, client: "b", loss: 1))
    #expect(stage.output.count == before)
    stage.wait(.milliseconds(1))
    display.refresh()
    let lines = Screen(showing: stage.output).lines
    #expect(lines.last?.hasPrefix("⠙ 2/2 clients") == true)
    #expect(lines.count == 3)
  }

  @Test func `notices stay above the block, and a finished run leaves one line`() {
    let stage = ProgressStage(.live, on: .sample(color: true))
    let display = stage.makeDisplay()
    begin(display, stage)
    display.report(.notice("client a has one class"))
    #expect(Screen(showing: stage.output).lines.count == 4)
    display.report(.roundFinished(round: 1, seconds: 4, uplinkBytes: 10, downlinkBytes: 20))
    stage.wait(.seconds(1))
    display.refresh()
    display.report(.runFinished)
    let screen = Screen(showing: stage.output)
    #expect(
      screen.lines == [
        "note: client a has one class",
        "finished 1 of 4 rounds in 5.0 s, up 10 B, down 20 B",
      ])
    #expect(screen.isCursorVisible)
    let length = stage.output.count
    stage.wait(.seconds(60))
    display.refresh()
    display.close()
    #expect(stage.output.count == length)
  }

  @Test func `closing or dropping a display leaves the screen as it was`() {
    let closed = ProgressStage(.live)
    let display = closed.makeDisplay()
    begin(display, closed)
    display.close()
    let dropped = ProgressStage(.live)
    begin(dropped.makeDisplay(), dropped)
    for stage in [closed, dropped] {
      let screen = Screen(showing: stage.output)
      #expect(screen.lines.isEmpty)
      #expect(screen.isCursorVisible)
    }
  }

  @Test(arguments: [20, 33, 60])
  func `no line of the block wraps`(width: Int) {
    let stage = ProgressStage(.live, on: .sample(width: width))
    let display = stage.makeDisplay()
    display.report(.runStarted(title: String(repeating: "東京", count: 40), rounds: 1000))
    display.report(.roundStarted(round: 1000, cohortSize: 10_000))
    stage.wait(.seconds(1))
    display.refresh()
    for line in Screen(showing: stage.output).lines {
      #expect(DisplayText.width(of: line) < width)
    }
  }

  @Test func `a window that became narrower is cleared to the block's first row`() {
    let stage = ProgressStage(.live, on: .sample(width: 80))
    let display = stage.makeDisplay()
    begin(display, stage)
    stage.resize(to: 40)
    stage.wait(.seconds(1))
    display.refresh()
    // 16, 62 and 46 columns take 1, 2 and 2 rows of 40.
    #expect(stage.output.contains("\r\u{1B}[5A"))
  }

  @Test func `reports from many threads leave whole lines`() async {
    let stage = ProgressStage(.json)
    let display = stage.makeDisplay()
    await withTaskGroup { group in
      for client in 0..<200 {
        group.addTask {
          display.report(.clientFinished(round: 1, client: "client \(client)", loss: nil))
        }
      }
    }
    #expect(Set(stage.lines).count == 200)
    #expect(stage.lines.allSatisfy { $0.hasPrefix("{") && $0.hasSuffix("}") })
  }
}
