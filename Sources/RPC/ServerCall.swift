// One call on the server: from its header block to its status. It carries bytes between the stream and a handler, keeps the
// deadline, and tells the handler when the caller has gone. What a message means is the handler's.
import HTTP2
import NIOCore
import ProtoWire

/// Takes a call's messages as they arrive. All calls come on the connection's event loop.
protocol RequestSink: AnyObject {
  /// One whole message, valid during the call only.
  func received(_ message: UnsafeRawBufferPointer) throws(RPCError)
  /// The caller will send no more.
  func receivedEnd() throws(RPCError)
  /// True while arriving bytes must not be credited: the reader is slow.
  var isFull: Bool { get }
  /// The call is over; a reader that waits must wake.
  func ended(_ error: RPCError)
}

/// Confined to its connection's event loop, which makes `@unchecked Sendable` true; other threads use `onLoop`.
final class ServerCall: HTTP2StreamDelegate, @unchecked Sendable {
  let context: CallContext
  let connection: ServerConnection
  let loop: any EventLoop
  private var stream: HTTP2Stream?
  private var deframer: MessageDeframer
  private var sink: (any RequestSink)?
  private var task: Task<Void, Never>?
  private var deadlineTimer: Scheduled<Void>?
  private var withheld = 0
  private var sentHeaders = false
  private var finished = false
  private var drainWaiters: [CheckedContinuation<Void, Never>] = []
  private var receivedMessages = false

  /// Bytes of responses that may wait for a slow reader before `send` waits.
  static let highWater = 64 << 10

  init(context: CallContext, connection: ServerConnection, stream: HTTP2Stream, maxMessageSize: Int) {
    self.context = context
    self.connection = connection
    loop = connection.loop
    self.stream = stream
    deframer = MessageDeframer(maxMessageSize: maxMessageSize)
  }

  func begin(_ makeSink: (ServerCall) -> any RequestSink) {
    if let deadline = context.deadline {
      let bound = NIOLoopBound(self, eventLoop: loop)
      deadlineTimer = loop.scheduleTask(deadline: deadline.instant) {
        bound.value.fail(RPCError(.deadlineExceeded, "the deadline of the call passed"))
      }
    }
    sink = makeSink(self)
  }

  // MARK: Running the handler

  /// Starts the handler's task behind the server's interceptors. Called once, on the event loop.
  func run(_ handler: @escaping @Sendable (CallContext) async throws(RPCError) -> Void) {
    guard !finished else { return }
    let interceptors = connection.interceptors
    let context = context
    task = Task(executorPreference: connection.executor) { [self] in
      do throws(RPCError) {
        try await Interceptors.run(interceptors, from: 0, context, handler)
        onLoop { $0.finish(nil) }
      } catch {
        let failure = error
        onLoop { $0.finish(failure) }
      }
    }
  }

  func onLoop(_ body: @escaping @Sendable (ServerCall) -> Void) {
    if loop.inEventLoop { body(self) } else { loop.execute { body(self) } }
  }

  // MARK: What the stream tells

  func stream(_ stream: HTTP2Stream, receivedHeaders headers: HTTP2Headers) {
    // Trailers from a client carry nothing in gRPC.
  }

  func stream(_ stream: HTTP2Stream, receivedData data: UnsafeRawBufferPointer) {
    guard !finished, let sink else {
      stream.consume(data.count)
      return
    }
    do throws(RPCError) {
      try deframer.feed(data) { message throws(RPCError) in try sink.received(message) }
    } catch {
      fail(error)
      return
    }
    withheld += data.count
    giveWindow()
  }

  func streamReceivedEnd(_ stream: HTTP2Stream) {
    guard !finished, let sink else { return }
    do throws(RPCError) {
      guard deframer.isEmpty else { throw RPCError(.invalidArgument, "the request ended inside a message") }
      try sink.receivedEnd()
    } catch { fail(error) }
  }

  func streamDrained(_ stream: HTTP2Stream) {
    let waiters = drainWaiters
    drainWaiters = []
    for waiter in waiters { waiter.resume() }
  }

  func streamClosed(_ stream: HTTP2Stream, error: HTTP2ErrorCode) {
    self.stream = nil
    end(RPCError(.cancelled, "the caller went away"))
  }

  /// Credits the caller with what was read, unless its messages pile up.
  func giveWindow() {
    guard withheld > 0, let sink, !sink.isFull else { return }
    stream?.consume(withheld)
    withheld = 0
  }

  // MARK: Answering

  private func sendHeaders() {
    guard !sentHeaders, let stream else { return }
    sentHeaders = true
    let initial = context.response.state.withLock { $0.initial }
    guard !initial.isEmpty else {
      stream.respond(Self.responseHeaders)
      return
    }
    var headers = Self.responseHeaders
    StatusWire.add(initial, to: &headers)
    stream.respond(headers)
  }

  private static let responseHeaders: HTTP2Headers = [":status": "200", "content-type": "application/grpc"]

  func write(_ bytes: UnsafeRawBufferPointer) {
    guard !finished, let stream else { return }
    sendHeaders()
    stream.write(bytes)
  }

  /// Sends a message from any thread. Waits while the peer reads slowly. Throws once the call is over.
  func send<M: Message>(_ message: M) async throws(RPCError) {
    if loop.inEventLoop {
      MessageFraming.framed(message).withUnsafeBytes { write($0) }
    } else {
      let buffer = MessageFraming.framed(message).withUnsafeBytes { ByteBuffer(bytes: $0) }
      onLoop { call in buffer.withUnsafeReadableBytes { call.write($0) } }
    }
    try await waitForRoom()
  }

  func send(framed buffer: ByteBuffer) async throws(RPCError) {
    onLoop { call in buffer.withUnsafeReadableBytes { call.write($0) } }
    try await waitForRoom()
  }

  private func waitForRoom() async throws(RPCError) {
    if Task.isCancelled { throw RPCError(.cancelled, "the call is over") }
    // On the loop and with room, which is the common case, nothing has to wait.
    if loop.inEventLoop, (stream?.unsentBytes ?? 0) < Self.highWater {
      if finished { throw RPCError(.cancelled, "the call is over") }
      return
    }
    await withCheckedContinuation { continuation in
      onLoop { call in
        if call.finished || (call.stream?.unsentBytes ?? 0) < Self.highWater {
          continuation.resume()
        } else {
          call.drainWaiters.append(continuation)
        }
      }
    }
    if Task.isCancelled { throw RPCError(.cancelled, "the call is over") }
  }

  /// Sends the status. The first one counts.
  func finish(_ error: RPCError?) {
    guard !finished else { return }
    let trailing = context.response.state.withLock { $0.trailing }
    let stream = stream
    if error == nil || sentHeaders {
      sendHeaders()
      stream?.finish(trailers: StatusWire.trailers(error, metadata: trailing))
    } else {
      var headers = Self.responseHeaders
      StatusWire.add(context.response.state.withLock { $0.initial }, to: &headers)
      StatusWire.trailers(error, metadata: trailing).forEach { headers.add($0, $1) }
      stream?.respond(headers, endStream: true)
    }
    end(error ?? RPCError(.cancelled, "the call is over"))
    // A caller that still sends is told to stop; it has its answer.
    if let stream, !stream.hasReceivedEnd { stream.resetAfterSending() }
  }

  /// Ends the call from this side before its handler has.
  func fail(_ error: RPCError) {
    let running = task
    finish(error)
    running?.cancel()
  }

  private func end(_ error: RPCError) {
    guard !finished else { return }
    finished = true
    deadlineTimer?.cancel()
    deadlineTimer = nil
    sink?.ended(error)
    sink = nil
    // The stream's end, not the handler's: a handler that is still at work learns of it here.
    if stream == nil { task?.cancel() }
    let waiters = drainWaiters
    drainWaiters = []
    for waiter in waiters { waiter.resume() }
    if withheld > 0 { stream?.consume(withheld) }
  }
}
