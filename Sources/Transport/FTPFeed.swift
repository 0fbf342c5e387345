// A running upload's bounded queue, from the tasks that write to the thread that sends. It ends when it is told to, or
// by itself once it is idle and the connection is wanted by others or would be dropped by the server.
import NIOCore

public final class FTPFeed: FTPSource {
  /// `send` returns once no more than this many bytes have not yet been handed to libcurl. Beyond it there is one
  /// `FTPHandle.uploadBufferBytes` in libcurl, and what the sockets hold.
  public static let maxUnsentBytes = 4 * 1024 * 1024
  /// An upload without anything to send ends after this long, before servers and firewalls lose patience with it.
  public static let maxIdle = Duration.seconds(20)
  /// How often an idle upload looks whether the server has ended it.
  private static let tick = Duration.milliseconds(200)

  public enum Sent: Sendable {
    case taken
    /// Nothing was taken: the upload had ended before, for whatever reason.
    case refused
    /// The upload ended with bytes not sent.
    case lost
  }

  private struct State {
    var queue: [ByteBuffer] = []
    var first = 0  // of the queue
    var unsent = 0
    var started = false
    var finishing = false
    var closed = false
    var interrupted = false
    var waiter: CheckedContinuation<Void, Never>?  // until there is room, or no more use
    var starter: CheckedContinuation<Void, Never>?
    var idleSince: ContinuousClock.Instant?
  }

  private let monitor = FTPMonitor(State())
  private let isWanted: @Sendable () -> Bool

  /// - Parameters:
  ///   - first: what there is to send from the beginning, before anybody can want the connection.
  ///   - isWanted: whether an idle upload should end for the sake of others; asked with a lock held.
  public init(_ first: ByteBuffer = ByteBuffer(), isWanted: @escaping @Sendable () -> Bool = { false }) {
    self.isWanted = isWanted
    monitor.change { state in
      if first.readableBytes > 0 { state.queue.append(first) }
      state.unsent = first.readableBytes
    }
  }

  // MARK: The tasks' side

  /// One call at a time.
  public func send(_ bytes: ByteBuffer) async -> Sent {
    let taken = monitor.change { state in
      if state.closed || state.finishing || state.interrupted { return false }
      state.queue.append(bytes)
      state.unsent += bytes.readableBytes
      state.idleSince = nil
      return true
    }
    return taken ? await room() : .refused
  }

  /// Returns once little enough waits to be sent.
  public func room() async -> Sent {
    await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
      let go = monitor.look { state in
        if Self.hasRoom(state) || state.closed { return true }
        state.waiter = waiter
        return false
      }
      if go { waiter.resume() }
    }
    return monitor.look { $0.unsent > Self.maxUnsentBytes || ($0.closed && $0.unsent > 0) ? .lost : .taken }
  }

  private static func hasRoom(_ state: State) -> Bool { state.unsent <= maxUnsentBytes }

  /// Returns when the server has accepted the upload, or the upload has ended: true if it was accepted.
  public func started() async -> Bool {
    await withCheckedContinuation { (starter: CheckedContinuation<Void, Never>) in
      let go = monitor.look { state in
        if state.started || state.closed { return true }
        state.starter = starter
        return false
      }
      if go { starter.resume() }
    }
    return monitor.look { $0.started }
  }

  /// Ends the upload once everything is sent.
  public func finish() { monitor.change { $0.finishing = true } }

  /// For how long there has been nothing to send; nil while there is. An upload that has ended is idle for good.
  public var idleTime: Duration? {
    monitor.look { state in state.closed ? Self.maxIdle : state.idleSince.map { ContinuousClock.now - $0 } }
  }

  /// False after an upload that the server ended before its time.
  public var isDrained: Bool { monitor.look { $0.unsent == 0 } }

  /// Others want the connection: an idle upload looks up.
  public func nudge() { monitor.change { _ in } }

  /// To be called when the upload has ended, however it did.
  public func close() {
    let waiting = monitor.change { state in
      state.closed = true
      defer { (state.waiter, state.starter) = (nil, nil) }
      return [state.waiter, state.starter]
    }
    for waiter in waiting { waiter?.resume() }
  }

  // MARK: The thread's side

  public func fill(_ buffer: UnsafeMutableRawBufferPointer, isOpen: () -> Bool) -> FTPFill {
    announce()
    while true {
      // What the server won't take is not worth sending: it has said why, and libcurl reads that after a plain end.
      if !isOpen() { return .end }
      let fill = monitor.wait(Self.tick) { state in step(&state, buffer) }
      if let fill {
        wakeWriter()
        return fill
      }
    }
  }

  private func announce() {
    let starter = monitor.look { state in
      state.started = true
      defer { state.starter = nil }
      return state.starter
    }
    starter?.resume()
  }

  private func wakeWriter() {
    let waiter: CheckedContinuation<Void, Never>? = monitor.look { state in
      guard Self.hasRoom(state), let waiter = state.waiter else { return nil }
      state.waiter = nil
      return waiter
    }
    waiter?.resume()
  }

  private func step(_ state: inout State, _ buffer: UnsafeMutableRawBufferPointer) -> FTPFill? {
    if state.interrupted { return .abort }
    let count = Self.take(&state, buffer)
    if count > 0 { return .bytes(count) }
    if state.finishing { return .end }
    let now = ContinuousClock.now
    let since = state.idleSince ?? now
    state.idleSince = since
    if now - since >= Self.maxIdle || isWanted() {
      state.finishing = true
      return .end
    }
    return nil
  }

  private static func take(_ state: inout State, _ buffer: UnsafeMutableRawBufferPointer) -> Int {
    var count = 0
    while state.first < state.queue.count, count < buffer.count {
      let length = min(buffer.count - count, state.queue[state.first].readableBytes)
      let target = UnsafeMutableRawBufferPointer(rebasing: buffer[count..<count + length])
      state.queue[state.first].readWithUnsafeReadableBytes { bytes in
        target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<length]))
        return length
      }
      count += length
      if state.queue[state.first].readableBytes == 0 {
        state.queue[state.first] = ByteBuffer()
        state.first += 1
      }
    }
    if state.first == state.queue.count { (state.queue, state.first) = ([], 0) }
    state.unsent -= count
    return count
  }

  public func interrupt() { monitor.change { $0.interrupted = true } }
}
