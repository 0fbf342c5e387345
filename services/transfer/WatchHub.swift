// Who watches which delivery, and what there is to see of those under way here. It carries no events: a watcher is
// woken and reads the journal, so nothing is lost however slow it is, and nothing piles up.
import FerryAPI
import Synchronization

final class WatchHub: Sendable {
  /// Watchers of one delivery.
  static let maxWatchers = 256
  /// Live figures are sent this often at most.
  static let progressInterval = Duration.milliseconds(200)

  /// The newest there is: a journalled sequence, or just new figures.
  struct Signal: Sendable {
    var sequence: Int64
  }

  private struct State {
    var watchers: [String: [UInt64: AsyncStream<Signal>.Continuation]] = [:]
    var live: [String: DeliveryJournal] = [:]
    var sequences: [String: Int64] = [:]
    var next: UInt64 = 0
    var isClosed = false
  }
  private let state = Mutex(State())

  // MARK: Deliveries under way

  func enter(_ id: String, _ journal: DeliveryJournal) { state.withLock { $0.live[id] = journal } }

  func leave(_ id: String) {
    state.withLock { state in
      state.live[id] = nil
      state.sequences[id] = nil
    }
    publish(id, sequence: 0)
  }

  /// The delivery as it stands if it is under way in this process.
  func live(_ id: String) async -> Delivery? {
    guard let journal = state.withLock({ $0.live[id] }) else { return nil }
    return await journal.snapshot()
  }

  // MARK: Watchers

  func publish(_ id: String, sequence: Int64) {
    let (watchers, newest) = state.withLock { state in
      let newest = max(state.sequences[id] ?? 0, sequence)
      if state.live[id] != nil { state.sequences[id] = newest }
      return (Array((state.watchers[id] ?? [:]).values), newest)
    }
    for watcher in watchers { watcher.yield(Signal(sequence: newest)) }
  }

  /// To those who watch what is not under way here: what it waits for may be another now.
  func publishWaiting() {
    let watchers = state.withLock { state in
      state.watchers.filter { state.live[$0.key] == nil }.flatMap { $0.value.values }
    }
    for watcher in watchers { watcher.yield(Signal(sequence: 0)) }
  }

  /// Ends all watches: the service stops. Whoever watches comes back with the last sequence they saw.
  func close() {
    let watchers = state.withLock { state in
      state.isClosed = true
      return state.watchers.values.flatMap(\.values)
    }
    for watcher in watchers { watcher.finish() }
  }

  var isClosed: Bool { state.withLock { $0.isClosed } }

  /// Signals from now on, the newest kept; nil if too many watch already.
  func watch(_ id: String) -> AsyncStream<Signal>? {
    let (stream, continuation) = AsyncStream.makeStream(of: Signal.self, bufferingPolicy: .bufferingNewest(1))
    let number: UInt64? = state.withLock { state in
      guard (state.watchers[id]?.count ?? 0) < Self.maxWatchers else { return nil }
      state.next += 1
      state.watchers[id, default: [:]][state.next] = continuation
      return state.next
    }
    guard let number else { return nil }
    continuation.onTermination = { [weak self] _ in self?.forget(id, number) }
    return stream
  }

  private func forget(_ id: String, _ number: UInt64) {
    state.withLock { state in
      state.watchers[id]?[number] = nil
      if state.watchers[id]?.isEmpty == true { state.watchers[id] = nil }
    }
  }
}
