// What is remembered of a peer to tell floods and mistakes from ordinary use.
@testable import HTTP2
import NIOCore
import Testing

@Suite("A peer's conduct")
struct ConductTests {
  @Test("frames that carry nothing are borne in a burst, then at the rate, and a pause earns no more than a burst")
  func budget() {
    let start = NIODeadline.now()
    var budget = FrameBudget(burst: 10, rate: 5)
    func spends(_ count: Int, after time: TimeAmount) -> Int {
      (0..<count).count { _ in budget.spend(now: start + time) }
    }
    #expect(spends(20, after: .zero) == 10)
    #expect(spends(20, after: .milliseconds(100)) == 0)
    #expect((4...5).contains(spends(20, after: .seconds(1))), "a second's worth, less what the test itself took")
    #expect(spends(20, after: .hours(1)) == 10)
    #expect(spends(20, after: .hours(1)) == 0)
  }

  @Test("requests earn room for frames that carry nothing, up to the burst")
  func earning() {
    let start = NIODeadline.now()
    var budget = FrameBudget(burst: 10, rate: 1)
    for _ in 0..<100 { budget.earn() }
    #expect((0..<20).count { _ in budget.spend(now: start) } == 10)
    // One request pays for a handful, whatever was spent in vain before.
    var fresh = FrameBudget(burst: 10, rate: 1)
    for _ in 0..<10 { _ = fresh.spend(now: start) }
    fresh.earn()
    let borne = (0..<20).count { _ in fresh.spend(now: start) }
    #expect(borne > 0 && borne < 10)
  }

  @Test("streams that a peer passed over are known as closed")
  func skipped() {
    var streams = SkippedStreams()
    for id in [1, 3, 9, 11, 21] as [Int32] { streams.opened(id) }
    #expect(streams.highest == 21)
    for id in [5, 7, 13, 15, 17, 19] as [Int32] { #expect(streams.contains(id)) }
    for id in [1, 3, 9, 11, 21, 23] as [Int32] { #expect(!streams.contains(id)) }
  }

  @Test("a first stream that is not the first passes others over as well")
  func firstSkipped() {
    var streams = SkippedStreams()
    streams.opened(5)
    #expect(streams.contains(1) && streams.contains(3) && !streams.contains(5))
  }

  @Test("only so many gaps are remembered, the latest")
  func bounded() {
    var streams = SkippedStreams()
    // Every other stream is left out.
    for number in 0..<Int32(SkippedStreams.remembered * 3) { streams.opened(1 + number * 4) }
    #expect(!streams.contains(3))
    #expect(streams.contains(streams.highest - 2))
  }
}
