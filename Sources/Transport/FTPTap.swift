// A running download's valve, between the thread that receives and the task that says how far it may go. Bytes are
// handed to one consumer in order, over as many downloads as it takes.

public final class FTPTap: FTPSink {
  /// A download that may not go on ends after this long, before servers and firewalls lose patience with it.
  public static let maxIdle = Duration.seconds(20)

  public enum Stop: Sendable {
    /// All that was allowed has come.
    case reached
    /// The download ended before.
    case ended
  }

  private struct State {
    var position: Int64
    var limit: Int64
    var ended = true
    var interrupted = false
    var waiter: CheckedContinuation<Void, Never>?
  }

  private let monitor: FTPMonitor<State>
  private let consume: @Sendable (UnsafeRawBufferPointer) -> Void
  private let isWanted: @Sendable () -> Bool

  /// - Parameters:
  ///   - isWanted: whether a download that may not go on should end for the sake of others; asked with a lock held.
  ///   - consume: called on the receiving thread, never while a task has been told `reached` or `ended`.
  public init(
    at position: Int64, isWanted: @escaping @Sendable () -> Bool,
    consume: @escaping @Sendable (UnsafeRawBufferPointer) -> Void
  ) {
    monitor = FTPMonitor(State(position: position, limit: position))
    self.consume = consume
    self.isWanted = isWanted
  }

  public var position: Int64 { monitor.look { $0.position } }

  /// Before each download, and `end` after it.
  public func begin() { monitor.change { ($0.ended, $0.interrupted) = (false, false) } }

  public func allow(until limit: Int64) { monitor.change { $0.limit = limit } }

  /// Ends a download that waits for leave to go on.
  public func stop() { monitor.change { $0.interrupted = true } }

  public func nudge() { monitor.change { _ in } }

  public func end() {
    monitor.change { state in
      state.ended = true
      defer { state.waiter = nil }
      return state.waiter
    }?.resume()
  }

  /// One call at a time.
  public func stopped() async -> Stop {
    await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
      let go = monitor.look { state in
        if state.position == state.limit || state.ended { return true }
        state.waiter = waiter
        return false
      }
      if go { waiter.resume() }
    }
    return monitor.look { $0.position == $0.limit ? .reached : .ended }
  }

  public func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let room = monitor.wait(Self.maxIdle) { state -> Int64? in
        if state.interrupted { return 0 }
        if state.limit > state.position { return state.limit - state.position }
        return isWanted() ? 0 : nil
      }
      guard let room, room > 0 else { return false }
      let count = Int(min(room, Int64(rest.count)))
      consume(UnsafeRawBufferPointer(rebasing: rest.prefix(count)))
      rest = rest.dropFirst(count)
      let waiter: CheckedContinuation<Void, Never>? = monitor.look { state in
        state.position += Int64(count)
        guard state.position == state.limit else { return nil }
        defer { state.waiter = nil }
        return state.waiter
      }
      waiter?.resume()
    }
    return true
  }

  public func interrupt() { stop() }
}
