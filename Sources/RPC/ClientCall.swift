// One call on the client: its stream, the header blocks and messages that come back and the status that ends it. What is
// done with the messages is a subclass's: a unary call decodes its one answer, a streaming call queues them for a reader.
import HTTP2
import NIOCore
import ProtoWire

/// What all calls of a channel say of themselves, laid out once.
struct RequestHeaders: Sendable {
  private let pseudo: HTTP2Headers
  private let common: HTTP2Headers

  /// What calls have beside their metadata, roughly; more only costs another allocation.
  private static let ownFields = 11
  private static let ownBytes = 320

  init(authority: String, isTLS: Bool) {
    pseudo = [":method": "POST", ":scheme": isTLS ? "https" : "http", ":authority": authority]
    common = [
      "content-type": "application/grpc", "te": "trailers", "user-agent": "grpc-swift-fileferry/1",
      "grpc-accept-encoding": CompressionAlgorithm.accepted,
    ]
  }

  func headers(path: String, _ options: CallOptions, previousAttempts: Int) -> HTTP2Headers {
    var headers = HTTP2Headers()
    headers.reserve(fields: Self.ownFields + options.metadata.entries.count, bytes: Self.ownBytes + options.metadata.byteCount)
    headers.append(pseudo)
    headers.add(":path", path)
    headers.append(common)
    if let deadline = options.deadline { headers.add("grpc-timeout", deadline.headerValue) }
    if options.compression != .identity { headers.add("grpc-encoding", options.compression.rawValue) }
    if previousAttempts > 0 { headers.add("grpc-previous-rpc-attempts", String(previousAttempts)) }
    StatusWire.add(options.metadata, to: &headers)
    return headers
  }
}

/// Confined to its connection's event loop, which makes `@unchecked Sendable` true; other threads use `onLoop`.
class ClientCall: HTTP2StreamDelegate, @unchecked Sendable {
  let connection: ClientConnection
  let deadline: Deadline?
  final var loop: any EventLoop { connection.loop }
  private final var stream: HTTP2Stream?
  private final var deframer: MessageDeframer
  private final var gotHeaders = false
  private final var isOver = false
  /// Counts among the connection's running calls.
  private final var isCounted = false
  private final var withheld = 0
  private final var failure: RPCError?
  private final var sawStatus = false
  private final var wasRefused = false
  /// This side ended it: a deadline, a cancellation, an answer that could not be read.
  private final var wasEndedHere = false
  private final var status: RPCError?
  /// The server has ended its side, and messages are still held for a slow reader.
  private final var endIsPending = false
  private final var drainWaiters: [CheckedContinuation<RPCError?, Never>] = []
  /// The response's own header block; a trailers-only answer has none.
  private(set) final var initialHeaders: HTTP2Headers?
  private(set) final var trailingHeaders = HTTP2Headers()

  /// Bytes of requests that may wait for a slow server before `send` waits.
  static let highWater = 64 << 10

  init(connection: ClientConnection, deadline: Deadline?, maxMessageSize: Int) {
    self.connection = connection
    self.deadline = deadline
    deframer = MessageDeframer(maxMessageSize: maxMessageSize)
  }

  /// How far the call had come when it ended.
  final var stage: AttemptFailure.Stage {
    initialHeaders != nil || wasEndedHere ? .committed : wasRefused ? .notProcessed : .sent
  }

  // MARK: For subclasses

  /// One whole message, valid during the call only.
  func received(_ message: UnsafeRawBufferPointer, wasCompressed: Bool) throws(RPCError) {}
  /// The header block has come, or the call is over without one.
  func receivedInitialHeaders() {}
  /// The status is known; nil is OK. Called once.
  func ended(_ error: RPCError?) {}
  /// True while arriving bytes must not be credited: the reader is slow.
  var isFull: Bool { false }

  final func onLoop(_ body: @escaping @Sendable (ClientCall) -> Void) {
    if loop.inEventLoop { body(self) } else { loop.execute { body(self) } }
  }

  /// Opens the stream. False if the connection takes no new ones: then nothing was sent.
  final func open(_ headers: HTTP2Headers) -> Bool {
    let transport = connection.transport
    guard !isOver, let stream = transport.open(headers, delegate: self) else { return false }
    self.stream = stream
    isCounted = true
    connection.running.add(1, ordering: .relaxed)
    if let deadline { transport.wake(at: deadline.instant) }
    return true
  }

  // MARK: Sending

  final func write(framed: UnsafeRawBufferPointer) {
    guard let stream, !isOver else { return }
    stream.write(framed)
  }

  final func endRequests() { stream?.finish() }

  /// - Throws: the call's status once it is over, or `cancelled` where that is OK: nobody reads any more.
  final func send(framed: ByteBuffer) async throws(RPCError) {
    let over: RPCError? = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        onLoop { call in
          framed.withUnsafeReadableBytes { call.write(framed: $0) }
          if call.isOver || (call.stream?.unsentBytes ?? 0) < Self.highWater {
            continuation.resume(returning: call.overError)
          } else {
            call.drainWaiters.append(continuation)
          }
        }
      }
    } onCancel: {
      // Its end wakes whoever waits.
      onLoop { $0.cancel(RPCError(.cancelled, "the call was cancelled")) }
    }
    if let over { throw over }
  }

  private final var overError: RPCError? {
    isOver ? status ?? RPCError(.cancelled, "the call is over, and its requests are not read any more") : nil
  }

  final func finishSending() { onLoop { $0.endRequests() } }

  /// Ends the call from this side. The first end counts.
  final func cancel(_ error: RPCError) {
    guard !isOver else { return }
    let stream = stream
    wasEndedHere = true
    end(error)
    stream?.reset(.cancel)
  }

  // MARK: What the stream tells

  final func stream(_ stream: HTTP2Stream, receivedHeaders headers: HTTP2Headers) {
    guard !isOver else { return }
    let hasStatus = headers.withValue("grpc-status") { _ in true } ?? false
    if !gotHeaders {
      let first = headers.withValue(":status") { $0.first } ?? nil
      if first == UInt8(ascii: "1") { return }
      gotHeaders = true
      let isOK = headers.withValue(":status") { HTTP2Headers.equal($0, "200") } ?? false
      let isGRPC = headers.withValue("content-type") { RequestHead.isGRPC($0) } ?? false
      guard isOK, isGRPC || hasStatus else {
        cancel(StatusWire.error(httpStatus: headers[":status"]))
        return
      }
      guard hasStatus else {
        takeInitialHeaders(headers)
        return
      }
    }
    sawStatus = true
    trailingHeaders = headers
    failure = StatusWire.error(in: headers)
  }

  private final func takeInitialHeaders(_ headers: HTTP2Headers) {
    initialHeaders = headers
    if let known = headers.withValue("grpc-encoding", CompressionAlgorithm.init(wireName:)) {
      guard let encoding = known else {
        cancel(
          RPCError(
            .internal, "the server compresses its messages with \(headers["grpc-encoding"] ?? ""), which is not known "
              + "here", fromPeer: true))
        return
      }
      deframer.encoding = encoding
    }
    receivedInitialHeaders()
  }

  final func stream(_ stream: HTTP2Stream, receivedData data: UnsafeRawBufferPointer) {
    guard !isOver else { return }
    withheld += data.count
    if isFull { deframer.hold(data) } else {
      cut(data)
      giveWindow()
    }
  }

  private final func cut(_ data: UnsafeRawBufferPointer) {
    do throws(RPCError) {
      try deframer.feed(data) { (message, wasCompressed) throws(RPCError) in
        try received(message, wasCompressed: wasCompressed)
        return !isFull
      }
    } catch { cancel(error) }
  }

  /// The reader has room again.
  final func roomAgain() { if !isOver { goOn() } }

  /// Cuts what is held as far as the reader has room, credits the server, and comes to the end if that is due.
  private final func goOn() {
    while deframer.isStopped, !isOver, !isFull { cut(UnsafeRawBufferPointer(start: nil, count: 0)) }
    giveWindow()
    guard endIsPending, !isOver, !deframer.isStopped else { return }
    endIsPending = false
    receivedEnd()
  }

  private final func giveWindow() {
    guard withheld > 0, !isFull else { return }
    if let stream, !stream.hasReceivedEnd { stream.consume(withheld) }
    withheld = 0
  }

  final func streamReceivedEnd(_ stream: HTTP2Stream) {
    guard !isOver else { return }
    endIsPending = true
    goOn()
  }

  private final func receivedEnd() {
    if !sawStatus {
      failure = RPCError(.internal, "the server ended the call without a status", fromPeer: true)
    } else if failure == nil, !deframer.isEmpty {
      failure = RPCError(.internal, "the server ended the call inside a message", fromPeer: true)
    }
    let stream = stream
    end(failure)
    // Our side may still be open; the server has said its last word.
    if let stream, !stream.hasEndedOutput { stream.reset(.noError) }
  }

  final func streamDrained(_ stream: HTTP2Stream) { wakeSenders() }

  final func streamClosed(_ stream: HTTP2Stream, error: HTTP2ErrorCode) {
    self.stream = nil
    wasRefused = error == .refusedStream
    if endIsPending { return }
    if sawStatus { end(failure) } else { end(StatusWire.error(reset: error)) }
  }

  private final func wakeSenders() {
    guard !drainWaiters.isEmpty else { return }
    let waiters = drainWaiters
    drainWaiters = []
    for waiter in waiters { waiter.resume(returning: overError) }
  }

  private final func end(_ error: RPCError?) {
    guard !isOver else { return }
    isOver = true
    status = error
    // Before anybody hears of the end: whoever does may choose a server for the next call.
    if isCounted { connection.running.subtract(1, ordering: .relaxed) }
    isCounted = false
    wakeSenders()
    ended(error)
  }
}
