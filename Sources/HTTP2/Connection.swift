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
  /// The peer takes no new streams.
  func connectionGoingAway(_ connection: HTTP2Connection, error: HTTP2ErrorCode)
  func connectionClosed(_ connection: HTTP2Connection, reason: String)
}

/// Confined to its channel's event loop: every method is called there, which is what makes `@unchecked Sendable` true.
public final class HTTP2Connection: ChannelInboundHandler, @unchecked Sendable {
  public typealias InboundIn = ByteBuffer
  public typealias OutboundOut = ByteBuffer

  public enum Role: Sendable { case client, server }

  public let role: Role
  public let configuration: HTTP2Configuration
  /// Held strongly until the channel closes, so that the owner of the calls outlives them.
  public var delegate: (any HTTP2ConnectionDelegate)?
  public private(set) var isGoingAway = false
  public var openStreams: Int { streams.count }

  var session: OpaquePointer?
  var streams: [Int32: HTTP2Stream] = [:]
  private var context: ChannelHandlerContext?
  private var output = ByteBuffer()
  private var isReading = false
  private var drainScheduled = false
  private var bufferedOutput = 0
  private var closeWhenIdle = false
  private var closeReason = "the peer closed the connection"
  private var isReady = false

  public init(role: Role, configuration: HTTP2Configuration = HTTP2Configuration()) {
    self.role = role
    self.configuration = configuration
  }

  deinit {
    if let session { nghttp2_session_del(session) }
  }

  public var channel: (any Channel)? { context?.channel }

  // MARK: Channel events

  public func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    openSession()
    if context.channel.isActive { drain() }
  }

  public func channelActive(context: ChannelHandlerContext) {
    drain()
    context.fireChannelActive()
  }

  public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard let session else { return }
    isReading = true
    let result = unwrapInboundIn(data).withUnsafeReadableBytes { bytes in
      nghttp2_session_mem_recv(session, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count)
    }
    if result < 0 {
      // nghttp2 has already queued the GOAWAY that tells the peer why where one is due.
      closeReason = "HTTP/2 error: " + String(cString: nghttp2_strerror(Int32(result)))
      drain()
      context.close(promise: nil)
    }
  }

  public func channelReadComplete(context: ChannelHandlerContext) {
    isReading = false
    drain()
    context.fireChannelReadComplete()
  }

  public func channelWritabilityChanged(context: ChannelHandlerContext) {
    if context.channel.isWritable { drain() }
    context.fireChannelWritabilityChanged()
  }

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
    guard let session else { return }
    self.session = nil
    // Streams hear of the end before the session that they name goes away.
    let open = streams.values
    streams = [:]
    for stream in open { close(stream, error: .connectionLost) }
    nghttp2_session_del(session)
    let listener = delegate
    delegate = nil
    listener?.connectionClosed(self, reason: closeReason)
  }

  // MARK: Output

  /// Moves what nghttp2 has to say into the channel.
  func drain() {
    guard let session, let context else { return }
    while bufferedOutput < configuration.maxBufferedOutput {
      var bytes: UnsafePointer<UInt8>?
      let count = nghttp2_session_mem_send(session, &bytes)
      guard count > 0 else {
        if count < 0 {
          closeReason = "HTTP/2 error: " + String(cString: nghttp2_strerror(Int32(count)))
          context.close(promise: nil)
        }
        break
      }
      output.writeBytes(UnsafeRawBufferPointer(start: bytes, count: count))
      if output.readableBytes >= Self.flushSize { flush(context) }
      if self.session == nil { return }
    }
    flush(context)
    if nghttp2_session_want_read(session) == 0, nghttp2_session_want_write(session) == 0 {
      context.close(promise: nil)
    } else if closeWhenIdle, streams.isEmpty, bufferedOutput == 0 {
      context.close(promise: nil)
    }
  }

  private static let flushSize = 128 << 10
  private static let outputCapacity = 16 << 10

  private func flush(_ context: ChannelHandlerContext) {
    let count = output.readableBytes
    guard count > 0 else { return }
    let bytes = output
    output = context.channel.allocator.buffer(capacity: Self.outputCapacity)
    bufferedOutput += count
    let promise = context.eventLoop.makePromise(of: Void.self)
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    promise.futureResult.whenComplete { _ in
      let connection = bound.value
      let wasFull = connection.bufferedOutput >= connection.configuration.maxBufferedOutput
      connection.bufferedOutput -= count
      if wasFull || connection.closeWhenIdle { connection.drain() }
    }
    context.writeAndFlush(wrapOutboundOut(bytes), promise: promise)
  }

  /// Gathers what becomes ready in this tick of the loop into one drain.
  func scheduleDrain() {
    guard !isReading, !drainScheduled, let context else { return }
    drainScheduled = true
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.eventLoop.execute {
      bound.value.drainScheduled = false
      bound.value.drain()
    }
  }

  // MARK: What streams ask for

  /// Client: opens a stream. Nil if the connection takes no new ones.
  public func open(_ headers: HTTP2Headers, delegate: any HTTP2StreamDelegate) -> HTTP2Stream? {
    guard let session, !isGoingAway else { return nil }
    let stream = HTTP2Stream(connection: self, id: 0)
    stream.delegate = delegate
    var provider = dataProvider(stream)
    let id = headers.withNameValues { nghttp2_submit_request(session, nil, $0.baseAddress, $0.count, &provider, nil) }
    guard id > 0 else { return nil }
    stream.id = id
    streams[id] = stream
    scheduleDrain()
    return stream
  }

  func submitResponse(_ stream: HTTP2Stream, _ headers: HTTP2Headers, endStream: Bool) {
    guard let session else { return }
    if endStream {
      stream.outputEnded = true
      _ = headers.withNameValues { nghttp2_submit_response(session, stream.id, $0.baseAddress, $0.count, nil) }
    } else {
      var provider = dataProvider(stream)
      _ = headers.withNameValues { nghttp2_submit_response(session, stream.id, $0.baseAddress, $0.count, &provider) }
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
    guard stream.sentEnd, stream.resetsWhenSent, !stream.receivedEnd, !stream.isClosed else { return }
    reset(stream, .noError)
  }

  func consume(_ stream: HTTP2Stream, _ bytes: Int) {
    guard let session else { return }
    nghttp2_session_consume_stream(session, stream.id, bytes)
    scheduleDrain()
  }

  func close(_ stream: HTTP2Stream, error: HTTP2ErrorCode) {
    guard !stream.isClosed else { return }
    stream.isClosed = true
    let listener = stream.delegate
    stream.delegate = nil
    listener?.streamClosed(stream, error: error)
  }

  /// Server: tells the peer to open no new streams, lets those that run end, then closes. Two GOAWAY frames, a moment apart,
  /// so that a request that is on its way is still taken (RFC 9113 section 6.8).
  public func drainAndClose(after pause: TimeAmount = .milliseconds(50)) {
    guard let session, let context, !isGoingAway else { return }
    isGoingAway = true
    nghttp2_submit_shutdown_notice(session)
    drain()
    let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
    context.eventLoop.scheduleTask(in: pause) {
      let connection = bound.value
      guard let session = connection.session else { return }
      let last = nghttp2_session_get_last_proc_stream_id(session)
      nghttp2_submit_goaway(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, 0, nil, 0)
      connection.closeWhenIdle = true
      connection.drain()
    }
  }

  /// Ends the connection at once, with a GOAWAY.
  public func closeNow() {
    guard let session, let context else { return }
    closeReason = "this side closed the connection"
    nghttp2_session_terminate_session(session, 0)
    drain()
    context.close(promise: nil)
  }

  // MARK: What nghttp2 tells (see Session.swift)

  func sessionReceivedSettings() {
    guard !isReady else { return }
    isReady = true
    delegate?.connectionReady(self)
  }

  func sessionReceivedGoAway(_ error: HTTP2ErrorCode) {
    isGoingAway = true
    delegate?.connectionGoingAway(self, error: error)
  }

  func sessionReceivedHeaders(_ stream: HTTP2Stream, isRequest: Bool, endStream: Bool) {
    let headers = stream.incoming
    stream.incoming = HTTP2Headers()
    if stream.headersTooLarge {
      stream.reset(.enhanceYourCalm)
      return
    }
    if isRequest {
      delegate?.connection(self, opened: stream, headers: headers)
    } else {
      stream.delegate?.stream(stream, receivedHeaders: headers)
    }
    if endStream { sessionReceivedEnd(stream) }
  }

  func sessionReceivedEnd(_ stream: HTTP2Stream) {
    guard !stream.receivedEnd else { return }
    stream.receivedEnd = true
    stream.delegate?.streamReceivedEnd(stream)
  }

  func sessionClosedStream(_ id: Int32, error: HTTP2ErrorCode) {
    guard let stream = streams.removeValue(forKey: id) else { return }
    close(stream, error: error)
  }
}
