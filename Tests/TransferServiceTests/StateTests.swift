// The eight states change once each way; the figures follow what is proven.
import FerryAPI
import Testing

@testable import TransferService

@Suite struct StateTests {
  private let now = Timestamp(milliseconds: 1_700_000_000_123)

  @Test("there are always eight states, in order")
  func eight() {
    #expect(StateTracker().states.map(\.state.rawValue) == Array(1...8))
    #expect(StateTracker([]).states.count == 8)
    #expect(StateTracker().states.allSatisfy { $0.status == .waiting })
  }

  @Test("a state begins once and ends once")
  func once() {
    var tracker = StateTracker()
    tracker.plan(files: 2, bytes: 100, compresses: false)
    let changes = [
      tracker.begin(.download, at: now), tracker.begin(.download, at: now),
      tracker.end(.download, .done, note: "", at: now), tracker.end(.download, .failed, note: "", at: now),
    ]
    #expect(changes == [true, false, true, false])
    #expect(tracker[.download].status == .done)
    #expect(tracker[.download].done == 100)
    #expect(tracker.failing == .validate)
  }

  @Test("only a done state is taken up again")
  func reopened() {
    var tracker = StateTracker()
    let early = tracker.reopen(.transfer, note: "gone")
    _ = tracker.end(.transfer, .done, note: "", at: now)
    let late = tracker.reopen(.transfer, note: "gone")
    #expect([early, late] == [false, true])
    #expect(tracker[.transfer].status == .active)
    #expect(tracker[.transfer].finishedAt == nil)
  }

  @Test("states survive the journal")
  func journalled() {
    var tracker = StateTracker()
    _ = tracker.end(.compress, .skipped, note: "not asked for", at: now)
    #expect(StateTracker(tracker.states) == tracker)
  }

  @Test("live figures never exceed what there is to do")
  func overlay() {
    let progress = DeliveryProgress()
    var delivery = Delivery.with { ($0.bytesTotal, $0.filesTotal, $0.states) = (10, 1, StateTracker().states) }
    progress.add(25, to: .transfer)
    #expect(progress.pass(.cleanUp) == 1)
    progress.overlay(&delivery)
    #expect(delivery.bytesDone == 10)
    #expect(delivery.filesDone == 1)
  }

  @Test("times keep their milliseconds")
  func times() {
    #expect(now.seconds == 1_700_000_000)
    #expect(now.nanos == 123_000_000)
  }
}
