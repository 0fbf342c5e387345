// A call whose answers are a stream: they wait in a queue for their reader.
import HTTP2
import NIOCore
import ProtoWire
import Synchronization

/// Confined to its connection's event loop, as `ClientCall` is; `queue` and `head` have locks of their own.
final class StreamingCall: ClientCall, @unchecked Sendable {
  let queue: MessageQueue
  private let head = Mutex(Head())
  private let box: Box

  /// What has become of the call, for whoever asks from another thread.
  private struct Head {
    var initial: HTTP2Headers?
    var trailing = HTTP2Headers()
    var end: Result<Void, RPCError>?
    var stage = AttemptFailure.Stage.sent
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  /// Lets the queue's callback find the call without keeping it alive.
  private final class Box: @unchecked Sendable {  // touched on the call's event loop only
    weak var call: StreamingCall?
  }

  override init(connection: ClientConnection, deadline: Deadline?, maxMessageSize: Int) {
    let box = Box()
    self.box = box
    let loop = connection.loop
    queue = MessageQueue { loop.execute { box.call?.roomAgain() } }
    super.init(connection: connection, deadline: deadline, maxMessageSize: maxMessageSize)
    box.call = self
  }

  override var isFull: Bool { queue.isFull() }

  override func received(_ message: UnsafeRawBufferPointer, wasCompressed: Bool) throws(RPCError) {
    queue.push(QueuedMessage(bytes: ByteBuffer(bytes: message), wasCompressed: wasCompressed))
  }

  override func receivedInitialHeaders() {
    let headers = initialHeaders
    wake { $0.initial = headers }
  }

  override func ended(_ error: RPCError?) {
    let (trailing, stage) = (trailingHeaders, stage)
    // The trailers first: whoever reads the stream's end may ask for them.
    wake { head in
      head.trailing = trailing
      head.stage = stage
      head.end = error.map { .failure($0) } ?? .success(())
    }
    queue.finish(error.map { .failure($0) } ?? .success(()))
  }

  private func wake(_ change: (inout Head) -> Void) {
    let waiters = head.withLock { head in
      change(&head)
      defer { head.waiters = [] }
      return head.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  var trailingMetadata: Metadata { StatusWire.metadata(head.withLock { $0.trailing }) }

  /// Waits until the server has begun to answer or the call is over.
  /// - Throws: the call's status, if it ended without a header block of its own.
  func initialMetadata() async throws(RPCError) -> Metadata {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isKnown = head.withLock { head in
          if head.initial != nil || head.end != nil { return true }
          head.waiters.append(continuation)
          return false
        }
        if isKnown { continuation.resume() }
      }
    } onCancel: {
      onLoop { $0.cancel(RPCError(.cancelled, "the call was cancelled")) }
    }
    let (initial, end) = head.withLock { ($0.initial, $0.end) }
    if let initial { return StatusWire.metadata(initial) }
    try end?.get()
    return Metadata()
  }

  /// The failure of a call that is over and never got a header block.
  func failure() -> AttemptFailure? {
    head.withLock { head in
      guard case .failure(let error)? = head.end else { return nil }
      return AttemptFailure(error: error, stage: head.stage)
    }
  }

  /// Opens the call, on its event loop. False if the connection takes no new ones.
  func begin(_ headers: HTTP2Headers, first: ByteBuffer?) async -> Bool {
    await withCheckedContinuation { continuation in
      onLoop { call in
        let opened = call.open(headers)
        if opened, let first {
          first.withUnsafeReadableBytes { call.write(framed: $0) }
          call.endRequests()
        }
        continuation.resume(returning: opened)
      }
    }
  }
}
