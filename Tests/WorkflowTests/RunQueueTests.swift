// The queue knows how many go before each run.
import Testing

@testable import Workflow

@Suite struct RunQueueTests {
  @Test("places count from the front, whatever comes and goes")
  func places() {
    var queue = RunQueue(maximumCount: 4)
    queue.insert(.init(id: RunID("c"), rank: "3"))
    queue.insert(contentsOf: [.init(id: RunID("a"), rank: "1"), .init(id: RunID("d"), rank: "4")])
    queue.insert(.init(id: RunID("b"), rank: "2"))
    #expect(["a", "b", "c", "d", "x"].map { queue.before(RunID($0)) } == [0, 1, 2, 3, nil])
    #expect(queue.next()?.id == RunID("a"))
    queue.remove(RunID("c"))
    #expect(["a", "b", "c", "d"].map { queue.before(RunID($0)) } == [nil, 0, nil, 1])
    queue.insert(contentsOf: (5...8).map { .init(id: RunID("\($0)"), rank: "\($0)") })
    #expect(["b", "d", "5", "6", "7"].map { queue.before(RunID($0)) } == [0, 1, 2, 3, nil])  // 7 and 8 had no room
    #expect(queue.hasOverflowed)
  }
}
