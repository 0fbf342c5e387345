// One call on the server: from its header block to its status. It carries bytes between the stream and a handler, keeps the
// deadline, and tells the handler when the caller has gone. What a message means is the handler's.
import HTTP2
import NIOCore
import ProtoWire
import Synchronization

/// Confined to its connection's event loop, which makes `@unchecked Sendable` true; other threads use `onLoop`, what never
/// changes and `response`, which has a lock.
@usableFromInline
final class ServerCall: HTTP2StreamDelegate, @unchecked Sendable {
  @usableFromInline let headers: HTTP2Headers
  let deadline: Deadline?
  let connection: ServerConnection
  let response = SharedResponseSettings()
  let method: RegisteredMethod?
  /// When its header block had come.
  let arrived: NIODeadline
  private let acceptsGzip: Bool
  private var stream: HTTP2Stream?
  private var deframer: MessageDeframer
  private var sink = RequestSink.none
  /// What the chain of interceptors ends in, until it begins.
  private var invocation: Invocation?
  private var task: Task<Void, Never>?
  private var withheld = 0
  /// The caller has ended its side, and messages are still held for a slow reader.
  private var endIsPending = false
  /// What `connection.heldBytes` holds of this call.
  private var countedBytes = 0
  private var sentHeaders = false
  private var finished = false
  /// The caller used a compression that is not known here: the answer names those that are.
  var announcesAccepted = false
  private var isCounted = false
  /// What the response's header block announced.
  private var compression = CompressionAlgorithm.identity
  private var drainWaiters: [CheckedContinuation<Bool, Never>] = []
  /// Written on the event loop before the handler runs.
  fileprivate(set) var requestIsCompressed = false

  /// Bytes of responses that may wait for a slow reader before `send` waits.
  static let highWater = 64 << 10

  init(
    method: RegisteredMethod?, headers: HTTP2Headers, deadline: Deadline?, connection: ServerConnection,
    stream: HTTP2Stream, encoding: CompressionAlgorithm, acceptsGzip: Bool
  ) {
    self.method = method
    arrived = connection.transport.lastHeard
    self.headers = headers
    self.deadline = deadline
    self.connection = connection
    self.stream = stream
    self.acceptsGzip = acceptsGzip
    deframer = MessageDeframer(maxMessageSize: connection.shared.maxMessageSize, encoding: encoding)
  }

  var path: String { method?.path ?? headers[":path"] ?? "" }
  var loop: any EventLoop { connection.loop }

  /// Takes the call up; the requests follow, or have begun to.
  func begin() {
    isCounted = true
    connection.shared.runningCalls.add(1, ordering: .relaxed)
    if method?.isSingle == true {
      sink = .single(nil)
    } else if case .stream(let invoke)? = method?.taking {
      let queue = MessageQueue { [weak self] in self?.onLoop { $0.roomAgain() } }
      sink = .stream(queue)
      run(invoke(queue, self))
    }
  }

  // MARK: Running the handler

  /// Has the handler started behind the server's interceptors. Called once, on the event loop.
  private func run(_ invocation: Invocation) {
    guard !finished else { return }
    self.invocation = invocation
    connection.start(self)
  }

  /// The handler and all around it; what need not wait runs at once. Begins on the event loop.
  func runHandler() async {
    guard !finished, let invocation = invocation.take() else { return }
    do throws(RPCError) {
      try await connection.shared.chain.run(CallContext(self), invocation)
      if loop.inEventLoop { finish(nil) } else { onLoop { $0.finish(nil) } }
    } catch {
      let failure = error
      onLoop { $0.finish(failure) }
    }
  }

  /// The handler has not ended yet: whoever ends the call before it cancels its task.
  func isRun(by task: Task<Void, Never>) { if !finished { self.task = task } }

  func onLoop(_ body: @escaping @Sendable (ServerCall) -> Void) {
    if loop.inEventLoop { body(self) } else { loop.execute { body(self) } }
  }

  // MARK: What the stream tells

  @usableFromInline
  func stream(_ stream: HTTP2Stream, receivedHeaders headers: HTTP2Headers) {
    // Trailers from a client carry nothing in gRPC.
  }

  @usableFromInline
  func stream(_ stream: HTTP2Stream, receivedData data: UnsafeRawBufferPointer) {
    guard !finished else {
      stream.consume(data.count)
      return
    }
    withheld += data.count
    if sink.isFull {
      deframer.hold(data)
      count(held: deframer.heldBytes)
      return
    }
    cut(data)
    giveWindow()
  }

  private func cut(_ data: UnsafeRawBufferPointer) {
    do throws(RPCError) {
      try deframer.feed(data) { (message, wasCompressed) throws(RPCError) in
        try received(message, wasCompressed)
        return !sink.isFull
      }
      count(held: deframer.heldBytes)
    } catch { fail(error) }
  }

  private func received(_ message: UnsafeRawBufferPointer, _ wasCompressed: Bool) throws(RPCError) {
    switch sink {
    case .none: return
    case .single(let earlier):
      guard earlier == nil else { throw RPCError(.unimplemented, "this method takes one request and got several") }
      guard case .single(let invoke)? = method?.taking else { return }
      if wasCompressed { requestIsCompressed = true }
      sink = .single(try invoke(message, self))
    case .stream(let queue):
      queue.push(QueuedMessage(bytes: ByteBuffer(bytes: message), wasCompressed: wasCompressed))
    }
  }

  /// Keeps the connection's account of bytes that wait to become messages.
  private func count(held bytes: Int) {
    guard bytes != countedBytes, !finished else { return }
    connection.heldBytes += bytes - countedBytes
    countedBytes = bytes
    let limit = connection.shared.configuration.maxHeldBytes
    guard connection.heldBytes > limit else { return }
    fail(
      .overloaded(
        "this connection has more than \(limit) bytes of unfinished messages under way",
        retryAfter: connection.shared.configuration.overloadPause))
  }

  @usableFromInline
  func streamReceivedEnd(_ stream: HTTP2Stream) {
    guard !finished else { return }
    endIsPending = true
    goOn()
  }

  /// Cuts what is held as far as the reader has room, credits the caller, and comes to the end if that is due.
  private func goOn() {
    while deframer.isStopped, !finished, !sink.isFull { cut(UnsafeRawBufferPointer(start: nil, count: 0)) }
    giveWindow()
    guard endIsPending, !finished, !deframer.isStopped else { return }
    endIsPending = false
    receivedEnd()
  }

  private func receivedEnd() {
    guard deframer.isEmpty else {
      fail(RPCError(.invalidArgument, "the request ended inside a message"))
      return
    }
    switch sink {
    case .none: break
    case .single(let invocation):
      guard let invocation else {
        fail(RPCError(.unimplemented, "this method takes one request and got none"))
        return
      }
      sink = .none
      run(invocation)
    case .stream(let queue): queue.finish(.success(()))
    }
  }

  @usableFromInline
  func streamDrained(_ stream: HTTP2Stream) { wakeSenders() }

  @usableFromInline
  func streamClosed(_ stream: HTTP2Stream, error: HTTP2ErrorCode) {
    self.stream = nil
    guard !finished else { return }
    // The handler, which is still at work, learns of it here.
    let running = task
    end(RPCError(.cancelled, "the caller went away"))
    running?.cancel()
  }

  /// The reader has room again.
  func roomAgain() { if !finished { goOn() } }

  /// Credits the caller with what was read, unless its messages pile up. Not for every few bytes, which its window has room
  /// for, and not once its end has come.
  private func giveWindow() {
    guard withheld >= Self.creditAtOnce, !finished, !sink.isFull else { return }
    if let stream, !stream.hasReceivedEnd { stream.consume(withheld) }
    withheld = 0
  }

  private static let creditAtOnce = 16 << 10

  private func wakeSenders() {
    guard !drainWaiters.isEmpty else { return }
    let waiters = drainWaiters
    drainWaiters = []
    for waiter in waiters { waiter.resume(returning: finished) }
  }

  // MARK: Answering

  private static let responseHeaders: HTTP2Headers = [":status": "200", "content-type": "application/grpc"]
  private static let preparedHeaders = PreparedHeaders(responseHeaders)

  private func sendHeaders() {
    guard !sentHeaders, let stream else { return }
    sentHeaders = true
    guard let settings = response.ifSet else {
      stream.respond(Self.preparedHeaders)
      return
    }
    var headers = Self.responseHeaders
    if settings.compression == .gzip, acceptsGzip {
      compression = .gzip
      headers.add("grpc-encoding", "gzip")
    }
    if settings.compression != .identity { headers.add("grpc-accept-encoding", CompressionAlgorithm.accepted) }
    StatusWire.add(settings.initial, to: &headers)
    stream.respond(headers)
  }

  /// Whether the next message is to be compressed.
  private func compressionNow(_ compress: Bool) -> CompressionAlgorithm {
    guard compression == .gzip, compress, response.ifSet?.compresses != false else { return .identity }
    return .gzip
  }

  /// Frames and queues a message, on the event loop. False if the caller is to wait for room.
  @usableFromInline
  func write(compress: Bool, _ encode: (inout WireWriter) -> Void) throws(RPCError) -> Bool {
    let stream = try streamForMessage()
    try connection.write(compressionNow(compress), to: stream, encode)
    return stream.unsentBytes < Self.highWater
  }

  /// The same for a message that another thread has encoded.
  private func write(compress: Bool, encoded message: ByteBuffer) throws(RPCError) {
    let stream = try streamForMessage()
    if compressionNow(compress) == .gzip {
      stream.write(MessageFraming.framed(try Gzip.compress(message), isCompressed: true))
    } else {
      stream.write(MessageFraming.framed(message))
    }
  }

  private func streamForMessage() throws(RPCError) -> HTTP2Stream {
    guard !finished, let stream else { throw Self.over }
    guard stream.connectionUnsentBytes < connection.shared.maxUnsentBytes else {
      throw RPCError(
        .resourceExhausted, "the caller does not read: \(stream.connectionUnsentBytes) bytes wait on its connection")
    }
    sendHeaders()
    return stream
  }

  private func write(framed: ByteBuffer) {
    guard !finished, let stream else { return }
    sendHeaders()
    stream.write(framed)
  }

  /// Sends the answer of a call that has one. The status follows at once, so there is no waiting for room.
  @inlinable
  func respond(_ encode: @Sendable (inout WireWriter) -> Void) async throws(RPCError) {
    if isOnLoop { _ = try write(compress: true, encode) } else { try await writeFromElsewhere(compress: true, encode) }
  }

  /// Sends a message from any thread. Waits while the peer reads slowly. Throws once the call is over.
  @inlinable
  func send(compress: Bool, _ encode: @Sendable (inout WireWriter) -> Void) async throws(RPCError) {
    if isOnLoop {
      // With room, which is the common case, nothing has to wait.
      if try write(compress: compress, encode) { return }
    } else {
      try await writeFromElsewhere(compress: compress, encode)
    }
    try await waitForRoom()
  }

  @usableFromInline var isOnLoop: Bool { loop.inEventLoop }

  /// The message is encoded here, on the thread that made it, and handed over.
  @usableFromInline
  func writeFromElsewhere(compress: Bool, _ encode: (inout WireWriter) -> Void) async throws(RPCError) {
    var writer = WireWriter()
    encode(&writer)
    let message = writer.withUnsafeBytes { ByteBuffer(bytes: $0) }
    let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Void, RPCError>, Never>) in
      onLoop { call in
        do throws(RPCError) {
          try call.write(compress: compress, encoded: message)
          continuation.resume(returning: .success(()))
        } catch { continuation.resume(returning: .failure(error)) }
      }
    }
    try result.get()
  }

  func send(framed buffer: ByteBuffer) async throws(RPCError) {
    onLoop { $0.write(framed: buffer) }
    try await waitForRoom()
  }

  @usableFromInline
  func waitForRoom() async throws(RPCError) {
    if Task.isCancelled { throw Self.over }
    let isOver = await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
      onLoop { call in
        if call.finished || (call.stream?.unsentBytes ?? 0) < Self.highWater {
          continuation.resume(returning: call.finished)
        } else {
          call.drainWaiters.append(continuation)
        }
      }
    }
    if isOver || Task.isCancelled { throw Self.over }
  }

  /// Sends the status. The first one counts.
  func finish(_ error: RPCError?) {
    guard !finished else { return }
    let stream = stream
    let settings = response.ifSet
    if error == nil, settings == nil {
      sendHeaders()
      stream?.finish(trailers: StatusWire.preparedOK)
    } else if error == nil || sentHeaders {
      sendHeaders()
      stream?.finish(trailers: StatusWire.trailers(error, metadata: settings?.trailing ?? Metadata()))
    } else {
      var headers = Self.responseHeaders
      if announcesAccepted { headers.add("grpc-accept-encoding", CompressionAlgorithm.accepted) }
      StatusWire.add(settings?.initial ?? Metadata(), to: &headers)
      headers.append(StatusWire.trailers(error, metadata: settings?.trailing ?? Metadata()))
      stream?.respond(headers, endStream: true)
    }
    end(error)
    // A caller that still sends is told to stop; it has its answer.
    if let stream, !stream.hasReceivedEnd { stream.resetAfterSending() }
  }

  /// Ends the call from this side before its handler has.
  func fail(_ error: RPCError) {
    let running = task
    response.change { $0.endedWith = error.code }
    finish(error)
    running?.cancel()
  }

  @usableFromInline static let over = RPCError(.cancelled, "the call is over")

  private func end(_ error: RPCError?) {
    guard !finished else { return }
    connection.heldBytes -= countedBytes
    countedBytes = 0
    finished = true
    task = nil
    if isCounted { connection.shared.runningCalls.subtract(1, ordering: .relaxed) }
    if case .stream(let queue) = sink { queue.finish(.failure(error ?? Self.over)) }
    sink = .none
    invocation = nil
    wakeSenders()
  }
}
