// One stream of a service's for many readers: each gets every event once and in order, at its own pace, and none waits for
// another.
import NIOCore
import RPC
import Synchronization
import Testing

@testable import GatewayService

@Suite(.timeLimit(.minutes(1))) struct SharedWatchTests {
  private func event(_ sequence: Int64, passing: Bool = false, bytes: Int = 0) -> SharedEvent {
    let text = (passing ? "p" : "") + "\(sequence)" + String(repeating: " ", count: bytes)
    return SharedEvent(sequence: sequence, frame: ByteBuffer(string: text), isPassing: passing)
  }

  private func text(_ step: SharedWatch.Step) -> String {
    switch step {
    case .frame(let frame): String(buffer: frame)
    case .nothing: "nothing"
    case .behind(let sequence): "behind \(sequence)"
    case .ended(let problem): "ended \(problem?.status ?? 200)"
    }
  }

  private final class Opened: Sendable { let count = Mutex(0) }

  @Test("each reader gets all events from where it left off, in order, also one that comes later")
  func order() async {
    let (watch, first, second) = (SharedWatch(after: 0), ReaderBell(), ReaderBell())
    #expect(watch.join(first, after: 0))
    for sequence: Int64 in 1...3 { #expect(await watch.put(event(sequence))) }
    #expect(watch.join(second, after: 2))
    #expect((0..<4).map { _ in text(watch.next(first)) } == ["1", "2", "3", "nothing"])
    #expect((0..<2).map { _ in text(watch.next(second)) } == ["3", "nothing"])
  }

  @Test("of live figures only the newest is told, after the events before it, and none that an event has overtaken")
  func figures() async {
    let (watch, reader) = (SharedWatch(after: 0), ReaderBell())
    #expect(watch.join(reader, after: 0))
    _ = await watch.put(event(1))
    _ = await watch.put(event(1, passing: true))
    _ = await watch.put(event(1, passing: true, bytes: 1))
    #expect((0..<3).map { _ in text(watch.next(reader)) } == ["1", "p1 ", "nothing"])
    _ = await watch.put(event(1, passing: true))
    _ = await watch.put(event(2))
    #expect((0..<2).map { _ in text(watch.next(reader)) } == ["2", "nothing"])
  }

  @Test("a reader that is alone holds the service back: what is kept has a bound, and nothing is skipped")
  func alone() async throws {
    let total = Int64(SharedWatch.keptEvents) * 4
    let produced = Mutex<Int64>(0)
    let streams = EventStreams()
    let source = EventSource("test") { (watch, after, _) async throws(RPCError) in
      for sequence in (after + 1)...total {
        guard await watch.put(event(sequence)) else { return }
        produced.withLock { $0 = sequence }
      }
    }
    let reader = try EventReader(streams, source, after: 0)
    var read: [String] = []
    while let frame = await reader.next() {
      read.append(String(buffer: frame))
      #expect(produced.withLock { $0 } <= Int64(read.count + SharedWatch.keptEvents))
      await Task.yield()
    }
    #expect(read == (1...total).map { "\($0)" })
  }

  @Test("large events are kept up to a number of bytes")
  func bytes() async {
    let (watch, reader, other) = (SharedWatch(after: 0), ReaderBell(), ReaderBell())
    #expect(watch.join(reader, after: 0) && watch.join(other, after: 0))
    for sequence: Int64 in 1...4 { _ = await watch.put(event(sequence, bytes: SharedWatch.keptBytes / 2)) }
    #expect(text(watch.next(reader)) == "behind 0")
  }

  @Test("a reader that falls behind keeps nobody waiting, goes on in a watch of its own, and ends in the first again")
  func slow() async throws {
    let (streams, opened, total) = (EventStreams(), Opened(), Int64(SharedWatch.keptEvents) * 3)
    // Only a cancelled sleep throws.
    let goesOn = Task { _ = try? await Task.sleep(for: .seconds(50)) }
    // The first stream sends an event whenever the test says so, those opened later all that they have.
    let steps = AsyncStream.makeStream(of: Void.self)
    let source = EventSource("test") { (watch, after, _) async throws(RPCError) in
      let isFirst = opened.count.withLock { count in
        count += 1
        return count == 1
      }
      var step = steps.stream.makeAsyncIterator()
      for sequence in (after + 1)..<(total + 1) {
        if isFirst { _ = await step.next() }
        guard await watch.put(event(sequence)) else { return }
      }
      // All is told, and the stream stays open until the last event comes.
      await goesOn.value
      _ = await watch.put(event(total + 1))
    }
    let fast = try EventReader(streams, source, after: 0)
    let slow = try EventReader(streams, source, after: 0)
    for sequence in 1...total {
      steps.continuation.yield()
      #expect(await fast.next().map { String(buffer: $0) } == "\(sequence)")
    }
    #expect(opened.count.withLock { $0 } == 1)
    for sequence in 1...total { #expect(await slow.next().map { String(buffer: $0) } == "\(sequence)") }
    #expect(opened.count.withLock { $0 } == 2)
    // Both wait at the first watch now; the second has ended, and its feeder with it.
    let waiting = Task { await slow.next() }
    while streams.watchCount > 1 { await Task.yield() }
    goesOn.cancel()
    #expect(await waiting.value.map { String(buffer: $0) } == "\(total + 1)")
    #expect(await fast.next().map { String(buffer: $0) } == "\(total + 1)")
  }

  @Test("readers of one thing share one stream; it ends when the last has gone")
  func shared() async throws {
    let (streams, opened) = (EventStreams(), Opened())
    let ended = AsyncStream.makeStream(of: Bool.self)
    let source = EventSource("test") { (watch, _, _) async throws(RPCError) in
      opened.count.withLock { $0 += 1 }
      _ = await watch.put(event(1))
      // Only a cancelled sleep throws.
      ended.continuation.yield((try? await Task.sleep(for: .seconds(50))) == nil)
    }
    var readers = try (0..<10).map { _ in try EventReader(streams, source, after: 0) }
    for reader in readers { #expect(await reader.next().map { String(buffer: $0) } == "1") }
    #expect(opened.count.withLock { $0 } == 1)
    #expect(streams.watchCount == 1)
    readers.removeAll()
    #expect(streams.watchCount == 0)
    for await wasCancelled in ended.stream {
      #expect(wasCancelled)
      break
    }
  }

  @Test("a failure of the service is told to every reader as a problem, and the next reader asks anew")
  func failure() async throws {
    let (streams, opened) = (EventStreams(), Opened())
    let source = EventSource("test") { (watch, _, _) async throws(RPCError) in
      opened.count.withLock { $0 += 1 }
      _ = await watch.put(event(1))
      throw RPCError(.unavailable, "the service stops")
    }
    for round in 1...2 {
      let reader = try EventReader(streams, source, after: 0)
      #expect(await reader.next().map { String(buffer: $0) } == "1")
      let problem = await reader.next().map { String(buffer: $0) }
      #expect(problem?.hasPrefix("event: problem\n") == true)
      #expect(await reader.next() == nil)
      #expect(opened.count.withLock { $0 } == round)
    }
  }

  @Test("a reader that waits gets a heartbeat, and is let go when it is finished from elsewhere")
  func waiting() async throws {
    let (watch, bell) = (SharedWatch(after: 0), ReaderBell())
    #expect(watch.join(bell, after: 0))
    watch.beat()  // nobody waits: it is not kept
    async let ring = bell.wait()
    while !bell.isWaiting { await Task.yield() }
    watch.beat()
    #expect(await ring == .heartbeat)
    async let last = bell.wait()
    bell.finish()
    #expect(await last == .finished)
  }
}
