// Messages that have arrived and wait for their reader: between the event loop that receives and the task that reads. It
// says how many bytes wait, and the call then stops giving the peer window: that is how a slow reader slows the sender.
import NIOCore
import Synchronization

struct QueuedMessage: Sendable {
  /// The message without its prefix, decompressed.
  var bytes: ByteBuffer
  var wasCompressed = false
}

@usableFromInline
final class MessageQueue: Sendable {
  /// Bytes that may wait before the peer gets no more window.
  static let highWater = 256 << 10
  /// After that it gets window again once no more than this waits: making room message by message would cost far more.
  static let lowWater = highWater / 2
  /// What a waiting message costs beside its bytes: many empty ones must fill the queue, too.
  private static let messageOverhead = 128

  private struct State {
    var messages = CircularBuffer<QueuedMessage>(initialCapacity: 4)
    var bytes = 0
    var end: Result<Void, RPCError>?
    var waiter: CheckedContinuation<Result<QueuedMessage?, RPCError>, Never>?
    var owesWindow = false
    var abandoned = false
    var lastWasCompressed = false
  }

  private let state = Mutex(State())
  /// Whether the message that was read last came compressed.
  var lastWasCompressed: Bool { state.withLock { $0.lastWasCompressed } }
  /// Called after a read when window was held back and may now be given.
  private let onRoom: @Sendable () -> Void

  init(onRoom: @escaping @Sendable () -> Void) { self.onRoom = onRoom }

  /// True while so much waits that the sender must pause; the next read that makes room then calls `onRoom`.
  func isFull() -> Bool {
    state.withLock { state in
      let full = state.bytes >= Self.highWater && !state.abandoned
      if full { state.owesWindow = true }
      return full
    }
  }

  func push(_ message: QueuedMessage) {
    let waiter: CheckedContinuation<Result<QueuedMessage?, RPCError>, Never>? = state.withLock { state in
      guard state.end == nil, !state.abandoned else { return nil }
      if let waiter = state.waiter {
        state.waiter = nil
        state.lastWasCompressed = message.wasCompressed
        return waiter
      }
      state.messages.append(message)
      state.bytes += message.bytes.readableBytes + Self.messageOverhead
      return nil
    }
    waiter?.resume(returning: .success(message))
  }

  /// No more will come. Messages that wait are still read; after an error they are dropped.
  func finish(_ result: Result<Void, RPCError>) {
    let waiter: CheckedContinuation<Result<QueuedMessage?, RPCError>, Never>? = state.withLock { state in
      guard state.end == nil else { return nil }
      state.end = result
      if case .failure = result, !state.messages.isEmpty, state.waiter == nil { return nil }
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume(returning: result.map { nil })
  }

  /// The reader has gone: what comes is dropped.
  func abandon() {
    state.withLock { state in
      state.abandoned = true
      state.messages.removeAll()
      state.bytes = 0
    }
    onRoom()
  }

  /// The next message, nil at the end. One reader at a time. Ends early if the task is cancelled.
  func next() async throws(RPCError) -> QueuedMessage? {
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Result<QueuedMessage?, RPCError>, Never>) in
        let (ready, room): (Result<QueuedMessage?, RPCError>?, Bool) = state.withLock { state in
          if let message = state.messages.popFirst() {
            state.bytes -= message.bytes.readableBytes + Self.messageOverhead
            state.lastWasCompressed = message.wasCompressed
            let room = state.owesWindow && state.bytes <= Self.lowWater
            if room { state.owesWindow = false }
            return (.success(message), room)
          }
          if let end = state.end { return (end.map { nil }, false) }
          if Task.isCancelled { return (.failure(RPCError(.cancelled, "the call was cancelled")), false) }
          state.waiter = continuation
          return (nil, false)
        }
        if let ready { continuation.resume(returning: ready) }
        if room { onRoom() }
      }
    } onCancel: {
      let waiter = state.withLock { state in
        defer { state.waiter = nil }
        return state.waiter
      }
      waiter?.resume(returning: .failure(RPCError(.cancelled, "the call was cancelled")))
    }
    return try result.get()
  }
}
