// An nghttp2 session inside a SwiftNIO channel. SwiftNIO owns the bytes and the socket, nghttp2 the frames, the streams and
// the windows; this handler carries between them. It knows neither messages nor gRPC's statuses.
//
// The shape that is fast: each read goes into nghttp2 at once, and all that nghttp2 then has to say leaves in one buffer
// with one flush when the read is complete. What becomes ready outside a read is gathered for one flush a loop tick.
import CNghttp2
import NIOCore

/// Hears of a connection's streams and its end. All calls come on the connection's event loop.
public protocol HTTP2ConnectionDelegate: AnyObject {
  /// Server: the peer opened a stream and its header block is complete. The owner sets `stream.delegate`.
  func connection(_ connection: HTTP2Connection, opened stream: HTTP2Stream, headers: HTTP2Headers)
  /// The peer's SETTINGS arrived: it speaks HTTP/2.
  func connectionReady(_ connection: HTTP2Connection)
  /// All that one read brought has been handed over. What its answers bring about leaves with one flush after this.
  func connectionHasRead(_ connection: HTTP2Connection)
  /// The peer takes no new streams.
  func connectionGoingAway(_ connection: HTTP2Connection, error: HTTP2ErrorCode)
  func connectionClosed(_ connection: HTTP2Connection, reason: String)
  /// A moment that was asked for with `wake(at:)` has come, or any other. Returns the next one that the owner waits for.
  func connection(_ connection: HTTP2Connection, timeIs now: NIODeadline) -> NIODeadline
}

extension HTTP2ConnectionDelegate {
  public func connectionHasRead(_ connection: HTTP2Connection) {}
  public func connection(_ connection: HTTP2Connection, timeIs now: NIODeadline) -> NIODeadline { .distantFuture }
}

/// Confined to its channel's event loop: every method is called there, which is what makes `@unchecked Sendable` true.
public final class HTTP2Connection: ChannelDuplexHandler, @unchecked Sendable {
  public typealias InboundIn = ByteBuffer
  public typealias OutboundIn = ByteBuffer
  public typealias OutboundOut = ByteBuffer

  public enum Role: Sendable { case client, server }

  public let role: Role
  public let configuration: HTTP2Configuration
  /// Held strongly until the channel closes, so that the owner of the calls outlives them.
  public var delegate: (any HTTP2ConnectionDelegate)?
  public internal(set) var isGoingAway = false
  public var openStreams: Int { streams.count }
  /// When the bytes at hand, or the last ones, had come.
  public var lastHeard: NIODeadline { times.lastHeard }
  public var channel: (any Channel)? { context?.channel }

  let memory = SessionMemory()
  var session: OpaquePointer?
  var context: ChannelHandlerContext?
  /// In no order; a stream knows its place.
  private(set) var streams: [HTTP2Stream] = []
  var incoming = HeaderCollector()
  var blocks = HeaderBlocks(prefaceLength: Int(NGHTTP2_CLIENT_MAGIC_LEN))
  /// The fields of the frame that nghttp2 is at, if `blocks` has decoded them.
  var decodedHeaders: HTTP2Headers?
  private var spares = SpareStreams()
  /// The stream that nghttp2 spoke of last, while it is open: the frames of a small call follow each other.
  var recent: (id: Int32, stream: Unmanaged<HTTP2Stream>)?
  /// Bytes that all streams have yet to send.
  public internal(set) var unsentBytes = 0
  var skippedStreams = SkippedStreams()
  var idleFrames: FrameBudget
  var forcedResets: FrameBudget
  var times = ConnectionTimes()
  /// Frames on their way to the channel: short ones are gathered in `frames`, where that costs least.
  private var output = ByteBuffer()
  private var frames = ByteQueue()
  /// Of requests.
  private var tokens = SentTokens()
  /// True while a read is taken in; `connectionHasRead` follows.
  public private(set) var isReading = false
  /// Asked for inside a read: nghttp2 is told once it is out of its receive function, which `callbackResult` makes it leave.
  private var endAsked: HTTP2ErrorCode?
  private var readIsDue = false
  private var isDraining = false
  private var isInsideSession = false
  private var doomedSession: OpaquePointer?
  private var drainScheduled = false
  private var closeWhenIdle = false
  private var isClosing = false
  private var closeReason = "the peer closed the connection"

  public init(role: Role, configuration: HTTP2Configuration = HTTP2Configuration()) {
    self.role = role
    self.configuration = configuration
    idleFrames = FrameBudget(burst: configuration.idleFrameBurst, rate: configuration.idleFrameRate)
    forcedResets = FrameBudget(
      burst: Int(configuration.streamResetBurst), rate: Int(configuration.streamResetRate))
  }

  deinit {
    if let session { nghttp2_session_del(session) }
  }

  // MARK: Channel events

  public func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    openSession()
    if context.channel.isActive { begin() }
  }

  public func channelActive(context: ChannelHandlerContext) {
    begin()
    context.fireChannelActive()
  }

  private func begin() {
    startTimes()
    drain()
  }

  public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard let session, !isClosing else { return }
    isReading = true
    times.lastHeard = .now()
    let result = insideSession {
      unwrapInboundIn(data).withUnsafeReadableBytes { bytes in
        // A client gets few fields with an answer, and most of them by index.
        let bytes = role == .server ? blocks.rewrite(bytes, limit: configuration.maxHeaderListSize) : bytes
        return nghttp2_session_mem_recv(session, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count)
      }
    }
    delegate?.connectionHasRead(self)
    if let endAsked {
      isReading = false
      terminate(endAsked)
    } else if result < 0 {
      // nghttp2 has already queued the GOAWAY that tells the peer why where one is due.
      isReading = false
      closeReason = "HTTP/2 error: " + String(cString: nghttp2_strerror(Int32(result)))
      drain()
      closeAfterOutput()
    }
  }

  public func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    if let endAsked { terminate(endAsked) } else { drain() }
    blocks.release(above: keptCapacity)
    watchOpenFrame()
    context.fireChannelReadComplete()
  }

  public func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { drain() }
    context.fireChannelWritabilityChanged()
  }

  /// Server: takes no further requests from a peer that does not read its answers. A client always reads, so that the two
  /// never wait for each other.
  public func read(context: ChannelHandlerContext) {
    readIsDue = role == .server && unsentBytes > Self.pauseReadingAt && !context.channel.isWritable
    if !readIsDue { context.read() }
  }

  private func readIfDue(_ context: ChannelHandlerContext) {
    guard readIsDue, unsentBytes <= Self.pauseReadingAt || context.channel.isWritable else { return }
    readIsDue = false
    context.read()
  }

  /// Bytes of answers that may wait while more requests are read.
  private static let pauseReadingAt = 256 << 10

  public func errorCaught(context: ChannelHandlerContext, error: any Error) {
    closeReason = "\(error)"
    context.close(promise: nil)
  }

  public func channelInactive(context: ChannelHandlerContext) {
    end()
    context.fireChannelInactive()
  }

  public func handlerRemoved(context: ChannelHandlerContext) {
    end()
    self.context = nil
  }

  private func end() {
    times.stop()
    guard let session else { return }
    self.session = nil
    // Streams hear of the end before the session that they name goes away.
    let open = streams
    streams = []
    recent = nil
    for stream in open { stream.close(.connectionLost) }
    if isInsideSession { doomedSession = session } else { nghttp2_session_del(session) }
    let listener = delegate
    delegate = nil
    listener?.connectionClosed(self, reason: closeReason)
  }

  /// Runs one of nghttp2's own functions. If the channel closes in one of its callbacks, the session goes when it is done.
  private func insideSession<R>(_ body: () -> R) -> R {
    isInsideSession = true
    defer {
      isInsideSession = false
      if let doomedSession {
        self.doomedSession = nil
        nghttp2_session_del(doomedSession)
      }
    }
    return body()
  }

  // MARK: Output

  /// Moves what nghttp2 has to say into the channel.
  func drain() {
    // A write may make the channel call back at once that it is full, or room again.
    guard let session, let context, !isClosing, !isDraining else { return }
    isDraining = true
    defer { isDraining = false }
    // Only a flush can change that.
    var isWritable = context.channel.isWritable
    while isWritable {
      var bytes: UnsafePointer<UInt8>?
      let count = insideSession { nghttp2_session_mem_send(session, &bytes) }
      guard self.session != nil else { return }
      guard count > 0 else {
        if count < 0 {
          closeReason = "HTTP/2 error: " + String(cString: nghttp2_strerror(Int32(count)))
          context.close(promise: nil)
          return
        }
        break
      }
      let given = UnsafeRawBufferPointer(start: bytes, count: count)
      if role == .client { tokens.append(given, to: &frames) } else { frames.append(given) }
      if output.readableBytes + frames.count >= Self.flushSize {
        flush(context)
        isWritable = context.channel.isWritable
        // A write that fails closes the channel before it returns, and the session is gone with it.
        guard self.session != nil else { return }
      }
    }
    flush(context)
    guard self.session != nil else { return }
    readIfDue(context)
    if nghttp2_session_want_read(session) == 0, nghttp2_session_want_write(session) == 0 {
      closeAfterOutput()
    } else if closeWhenIdle, streams.isEmpty {
      closeAfterOutput()
    }
  }

  /// Bytes that are gathered before they go to the socket.
  private static let flushSize = 64 << 10
  /// What an output buffer may keep for the next flush, with streams open and without.
  private static let busyCapacity = 128 << 10
  private static let idleCapacity = 1 << 10
  private var keptCapacity: Int { streams.isEmpty ? Self.idleCapacity : Self.busyCapacity }

  /// nghttp2's send_data callback: a DATA frame's header and as much of the stream's body.
  func writeData(_ stream: HTTP2Stream, frameHeader: UnsafePointer<UInt8>, count: Int) {
    frames.append(UnsafeRawBufferPointer(start: frameHeader, count: FrameHeader.size))
    let body = UnsafeRawBufferPointer(rebasing: stream.output.readable[0..<count])
    if count <= Self.shortBody {
      frames.append(body)
    } else {
      moveFrames()
      output.writeBytes(body)
    }
    stream.output.consume(count)
    unsentBytes -= count
    if stream.output.isEmpty, !stream.outputEnded { stream.delegate?.streamDrained(stream) }
  }

  /// Longer bodies are not copied a second time.
  private static let shortBody = 1 << 10

  private func moveFrames() {
    guard !frames.isEmpty else { return }
    output.writeBytes(frames.readable)
    frames.clear(keeping: keptCapacity)
  }

  private func flush(_ context: ChannelHandlerContext) {
    moveFrames()
    guard output.readableBytes > 0 else { return }
    context.writeAndFlush(wrapOutboundOut(output), promise: nil)
    // The socket mostly takes all at once; then the buffer is ours alone again and `clear` keeps its memory.
    if output.capacity > keptCapacity { output = ByteBuffer() } else { output.clear() }
  }

  /// Gathers what becomes ready in this tick of the loop into one drain.
  func scheduleDrain() {
    guard !isReading, !drainScheduled, let context else { return }
    drainScheduled = true
    context.eventLoop.execute { [self] in
      drainScheduled = false
      drain()
    }
  }

  // MARK: Streams

  /// Begins a stream; it is told of its id, or that it waits for one, and is kept until it is closed.
  func begin(_ id: Int32) -> HTTP2Stream {
    guard let stream = spares.take() else { return HTTP2Stream(connection: self, id: id) }
    stream.reopen(as: id)
    return stream
  }

  func add(_ stream: HTTP2Stream) {
    stream.slot = streams.count
    streams.append(stream)
  }

  private func remove(_ stream: HTTP2Stream) {
    recent = nil
    let last = streams.removeLast()
    guard last !== stream else { return }
    last.slot = stream.slot
    streams[stream.slot] = last
  }

  public func forEachStream(_ body: (HTTP2Stream) -> Void) {
    for stream in streams { body(stream) }
  }

  /// Client: opens a stream. Nil if the connection takes no new ones.
  public func open(_ headers: HTTP2Headers, delegate: any HTTP2StreamDelegate) -> HTTP2Stream? {
    guard let session, !isGoingAway, !isClosing else { return nil }
    let stream = begin(0)
    stream.delegate = delegate
    var provider = dataProvider(stream)
    let id = headers.withNameValues(preparing: { tokens.prepare(&$0, blockSize: $1) }) {
      nghttp2_submit_request(session, nil, $0.baseAddress, $0.count, &provider, Unmanaged.passUnretained(stream).toOpaque())
    }
    guard id > 0 else { return nil }
    stream.id = id
    add(stream)
    startKeepalive()
    scheduleDrain()
    return stream
  }

  func submitResponse(_ stream: HTTP2Stream, _ fields: UnsafeBufferPointer<nghttp2_nv>, endStream: Bool) {
    guard let session else { return }
    if endStream {
      stream.outputEnded = true
      nghttp2_submit_response(session, stream.id, fields.baseAddress, fields.count, nil)
    } else {
      var provider = dataProvider(stream)
      nghttp2_submit_response(session, stream.id, fields.baseAddress, fields.count, &provider)
    }
    scheduleDrain()
  }

  func resume(_ stream: HTTP2Stream) {
    guard let session else { return }
    if stream.isDeferred {
      stream.isDeferred = false
      nghttp2_session_resume_data(session, stream.id)
    }
    scheduleDrain()
  }

  func reset(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
    guard let session else { return }
    nghttp2_submit_rst_stream(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream.id, code.rawValue)
    scheduleDrain()
  }

  func resetIfSent(_ stream: HTTP2Stream) {
    guard stream.sentEnd, stream.resetsWhenSent, !stream.hasReceivedEnd, !stream.isClosed else { return }
    reset(stream, .noError)
  }

  func consume(_ stream: HTTP2Stream, _ bytes: Int) {
    guard let session else { return }
    nghttp2_session_consume_stream(session, stream.id, bytes)
    scheduleDrain()
  }

  // MARK: The end

  /// Tells the peer to open no new streams, lets those that run end, then closes. Two GOAWAY frames, a moment apart, so that
  /// a request that is on its way is still taken (RFC 9113 section 6.8).
  public func drainAndClose(after pause: TimeAmount = .milliseconds(50)) {
    guard let session, let context, !isGoingAway else { return }
    isGoingAway = true
    if role == .server { nghttp2_submit_shutdown_notice(session) }
    drain()
    context.eventLoop.scheduleTask(in: pause) { [self] in
      guard let session = self.session else { return }
      let last = nghttp2_session_get_last_proc_stream_id(session)
      nghttp2_submit_goaway(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, 0, nil, 0)
      closeWhenIdle = true
      drain()
    }
  }

  /// Ends the connection at once, with a GOAWAY.
  public func closeNow(_ code: HTTP2ErrorCode = .noError, because reason: String = "this side closed the connection") {
    guard session != nil, endAsked == nil else { return }
    closeReason = reason
    isGoingAway = true
    endAsked = code
    if !isReading { terminate(code) }
  }

  private func terminate(_ code: HTTP2ErrorCode) {
    guard let session, !isClosing else { return }
    nghttp2_session_terminate_session(session, code.rawValue)
    if isDraining { return }  // what sends now also sends the GOAWAY and closes
    drain()
    closeAfterOutput()
  }

  /// What every receive callback returns: nghttp2 must not go on with the bytes of a connection that is to end, because it
  /// cannot be told so from inside its callbacks (it forgets the state that `nghttp2_session_terminate_session` sets).
  var callbackResult: Int32 { endAsked == nil && session != nil ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }

  /// A moment for the peer to read our last frames: closing a socket that has unread input would discard them on the way.
  private static let lingerTime = TimeAmount.milliseconds(500)

  private func closeAfterOutput() {
    guard !isClosing, let context else { return }
    isClosing = true
    context.close(mode: .output, promise: nil)
    context.eventLoop.scheduleTask(in: Self.lingerTime) { [self] in
      self.context?.close(promise: nil)
    }
  }

  // MARK: What nghttp2 tells (see Session.swift)

  /// Requests that wait for the peer's limit of streams are never sent after its GOAWAY. nghttp2 would say so only when
  /// another stream ends.
  private func refusePending() {
    for stream in streams where session != nil && nghttp2_session_get_stream_user_data(session, stream.id) == nil {
      nghttp2_session_set_stream_user_data(session, stream.id, nil)
      closed(stream, error: .refusedStream)
    }
  }

  func receivedGoAway(_ error: HTTP2ErrorCode) {
    isGoingAway = true
    refusePending()
    delegate?.connectionGoingAway(self, error: error)
  }

  func receivedHeaders(_ stream: HTTP2Stream, isRequest: Bool, endStream: Bool) {
    let decoded = decodedHeaders.take()
    guard decoded != nil || !incoming.isTooLarge else {
      stream.reset(.enhanceYourCalm)
      // nghttp2 closes it when the RST_STREAM has left; its owner need not wait.
      unsentBytes -= stream.unsentBytes
      stream.close(.headersTooLarge)
      return
    }
    let headers = decoded ?? incoming.take()
    if isRequest {
      idleFrames.earn()
      startKeepalive()
      delegate?.connection(self, opened: stream, headers: headers)
    } else {
      stream.delegate?.stream(stream, receivedHeaders: headers)
    }
    if endStream { stream.receivedEnd() }
  }

  func closed(_ stream: consuming HTTP2Stream, error: HTTP2ErrorCode) {
    unsentBytes -= stream.unsentBytes
    remove(stream)
    if streams.isEmpty {
      tokens.nothingIsUnderWay()
      becameIdle()
    }
    stream.close(error)
    spares.add(stream)
  }
}
