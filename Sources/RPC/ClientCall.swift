// One call on the client: its stream, the messages that come back and the status that ends it. The typed calls of
// ClientChannel stand on it.
import HTTP2
import NIOCore
import ProtoWire

/// Confined to its connection's event loop, which makes `@unchecked Sendable` true; other threads use `onLoop`.
final class ClientCall: HTTP2StreamDelegate, @unchecked Sendable {
  let loop: any EventLoop
  let queue: MessageQueue
  private let box: Box
  private var stream: HTTP2Stream?
  private var deframer: MessageDeframer
  private var deadlineTimer: Scheduled<Void>?
  private var gotHeaders = false
  private var finished = false
  private var ended = false
  private var withheld = 0
  private var failure: RPCError?
  private var sawStatus = false
  private var drainWaiters: [CheckedContinuation<Void, Never>] = []
  /// The response's header metadata, once it has come.
  private(set) var initialMetadata = Metadata()
  /// Called once on the loop when the status is known; nil is OK.
  var onEnd: ((RPCError?) -> Void)?

  /// Lets the queue's callback find the call without keeping it alive.
  private final class Box: @unchecked Sendable {  // touched on the call's event loop only
    weak var call: ClientCall?
  }

  /// Bytes of requests that may wait for a slow server before `send` waits.
  static let highWater = 64 << 10

  init(loop: any EventLoop, maxMessageSize: Int) {
    let box = Box()
    self.box = box
    self.loop = loop
    queue = MessageQueue { loop.execute { box.call?.giveWindow() } }
    deframer = MessageDeframer(maxMessageSize: maxMessageSize)
    box.call = self
  }

  func onLoop(_ body: @escaping @Sendable (ClientCall) -> Void) {
    if loop.inEventLoop { body(self) } else { loop.execute { body(self) } }
  }

  /// Opens the stream. False if the connection takes no new ones: then nothing was sent.
  func open(on connection: HTTP2Connection, path: String, authority: String, _ options: CallOptions) -> Bool {
    var headers: HTTP2Headers = [
      ":method": "POST", ":scheme": "http", ":path": path, ":authority": authority,
      "content-type": "application/grpc", "te": "trailers", "user-agent": "grpc-swift-fileferry/1",
    ]
    if let deadline = options.deadline {
      headers.add("grpc-timeout", deadline.headerValue)
      let bound = NIOLoopBound(self, eventLoop: loop)
      deadlineTimer = loop.scheduleTask(deadline: deadline.instant) {
        bound.value.cancel(RPCError(.deadlineExceeded, "the deadline of the call passed"))
      }
    }
    StatusWire.add(options.metadata, to: &headers)
    guard let stream = connection.open(headers, delegate: self) else {
      deadlineTimer?.cancel()
      return false
    }
    self.stream = stream
    return true
  }

  // MARK: Sending

  func write(framed: ByteBuffer, end: Bool) {
    guard let stream, !ended else { return }
    stream.write(framed)
    if end { stream.finish() }
  }

  func send(framed: ByteBuffer) async throws(RPCError) {
    await withCheckedContinuation { continuation in
      onLoop { call in
        call.write(framed: framed, end: false)
        if call.ended || (call.stream?.unsentBytes ?? 0) < Self.highWater {
          continuation.resume()
        } else {
          call.drainWaiters.append(continuation)
        }
      }
    }
    if Task.isCancelled { throw RPCError(.cancelled, "the call was cancelled") }
  }

  func finishSending() { onLoop { $0.stream?.finish() } }

  /// Ends the call from this side. The first end counts.
  func cancel(_ error: RPCError) {
    guard !ended else { return }
    let stream = stream
    end(error)
    stream?.reset(.cancel)
  }

  // MARK: What the stream tells

  func stream(_ stream: HTTP2Stream, receivedHeaders headers: HTTP2Headers) {
    let status = headers[":status"]
    if let status, status.first == "1" { return }
    if status != nil, !gotHeaders {
      gotHeaders = true
      let isGRPC = headers.withValue("content-type") { $0.starts(with: "application/grpc".utf8) } ?? false
      guard status == "200", isGRPC || headers["grpc-status"] != nil else {
        cancel(StatusWire.error(httpStatus: status))
        return
      }
      initialMetadata = StatusWire.metadata(headers)
      guard headers["grpc-status"] != nil else { return }
    }
    sawStatus = true
    failure = StatusWire.error(in: headers)
  }

  func stream(_ stream: HTTP2Stream, receivedData data: UnsafeRawBufferPointer) {
    guard !ended else { return }
    do throws(RPCError) {
      try deframer.feed(data) { queue.push(ByteBuffer(bytes: $0)) }
    } catch {
      cancel(error)
      return
    }
    withheld += data.count
    giveWindow()
  }

  func giveWindow() {
    guard withheld > 0, !queue.isFull() else { return }
    stream?.consume(withheld)
    withheld = 0
  }

  func streamReceivedEnd(_ stream: HTTP2Stream) {
    guard !ended else { return }
    if !sawStatus {
      failure = RPCError(.internal, "the server ended the call without a status", fromPeer: true)
    } else if failure == nil, !deframer.isEmpty {
      failure = RPCError(.internal, "the server ended the call inside a message", fromPeer: true)
    }
    end(failure)
    // Our side may still be open; the server has said its last word.
    stream.reset(.noError)
  }

  func streamDrained(_ stream: HTTP2Stream) { wakeSenders() }

  func streamClosed(_ stream: HTTP2Stream, error: HTTP2ErrorCode) {
    self.stream = nil
    if sawStatus { end(failure) } else { end(StatusWire.error(reset: error)) }
  }

  private func wakeSenders() {
    let waiters = drainWaiters
    drainWaiters = []
    for waiter in waiters { waiter.resume() }
  }

  private func end(_ error: RPCError?) {
    guard !ended else { return }
    ended = true
    deadlineTimer?.cancel()
    deadlineTimer = nil
    queue.finish(error.map { .failure($0) } ?? .success(()))
    wakeSenders()
    let listener = onEnd
    onEnd = nil
    listener?(error)
  }
}
