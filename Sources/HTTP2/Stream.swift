// One stream of a connection: what its owner hears and what it may do. Confined to the connection's event loop.
import NIOCore

/// Hears what the peer does on a stream. All calls come on the connection's event loop.
public protocol HTTP2StreamDelegate: AnyObject {
  /// A header block is complete: the request or response itself, or trailers.
  func stream(_ stream: HTTP2Stream, receivedHeaders headers: HTTP2Headers)
  /// Bytes of the body; valid during the call only. The owner gives the window back with `consume`.
  func stream(_ stream: HTTP2Stream, receivedData data: UnsafeRawBufferPointer)
  /// The peer will send nothing more on this stream.
  func streamReceivedEnd(_ stream: HTTP2Stream)
  /// The queue of unsent bytes is empty again.
  func streamDrained(_ stream: HTTP2Stream)
  /// The stream is over; nothing more is called. `noError` after a regular end.
  func streamClosed(_ stream: HTTP2Stream, error: HTTP2ErrorCode)
}

/// The header block that ends a stream after its body.
enum Trailers {
  case none
  case made(HTTP2Headers)
  case prepared(PreparedHeaders)
}

/// Touched on its connection's event loop only.
public final class HTTP2Stream {
  /// A connection closes all its streams before it goes away, and a closed stream never touches it again.
  unowned(unsafe) let connection: HTTP2Connection
  public internal(set) var id: Int32
  public var delegate: (any HTTP2StreamDelegate)?

  /// Bytes written but not yet framed.
  public var unsentBytes: Int { output.count }
  /// Whether this side has ended, though bytes may still wait.
  public var hasEndedOutput: Bool { outputEnded }
  /// Whether the peer has ended its side.
  public private(set) var hasReceivedEnd = false

  /// Where the connection keeps it.
  var slot = 0
  var isClosed = false
  var output = ByteQueue()
  var outputEnded = false
  var trailers = Trailers.none
  /// True while nghttp2 waits to be told that there is something to send.
  var isDeferred = false
  var resetsWhenSent = false
  var sentEnd = false

  init(connection: HTTP2Connection, id: Int32) {
    self.connection = connection
    self.id = id
  }

  /// A closed stream begins anew under another id.
  func reopen(as id: Int32) {
    self.id = id
    hasReceivedEnd = false
    isClosed = false
    outputEnded = false
    trailers = .none
    isDeferred = false
    resetsWhenSent = false
    sentEnd = false
  }

  /// Server: sends the response's header block. With `endStream` it is the whole answer ("Trailers-Only").
  public func respond(_ headers: HTTP2Headers, endStream: Bool = false) {
    guard !isClosed else { return }
    headers.withNameValues { connection.submitResponse(self, $0, endStream: endStream) }
  }

  /// Server: the same with fields that never change; the body follows.
  public func respond(_ headers: PreparedHeaders) {
    guard !isClosed else { return }
    connection.submitResponse(self, headers.fields, endStream: false)
  }

  /// Queues body bytes. The caller watches `unsentBytes` and waits for `streamDrained`.
  public func write(_ bytes: UnsafeRawBufferPointer) {
    guard !isClosed, !outputEnded else { return }
    output.append(bytes)
    connection.unsentBytes += bytes.count
    connection.resume(self)
  }

  /// Whether `write(adopting:)` may be used now.
  public var canAdopt: Bool { output.isEmpty }

  /// As `write`, of a block that the stream takes over and frees with `deallocate`: for what is too long to be copied for nothing.
  public func write(adopting block: UnsafeMutableRawPointer, capacity: Int, count: Int) {
    guard !isClosed, !outputEnded else { return block.deallocate() }
    output.adopt(block, capacity: capacity, count: count)
    connection.unsentBytes += count
    connection.resume(self)
  }

  public func write(_ buffer: ByteBuffer) {
    buffer.withUnsafeReadableBytes { write($0) }
  }

  /// Ends this side after what is queued, with trailers if given.
  public func finish(trailers: HTTP2Headers? = nil) { finish(trailers.map { .made($0) } ?? .none) }

  public func finish(trailers: PreparedHeaders) { finish(.prepared(trailers)) }

  private func finish(_ trailers: Trailers) {
    guard !isClosed, !outputEnded else { return }
    outputEnded = true
    self.trailers = trailers
    connection.resume(self)
  }

  /// Ends the stream at once; unsent bytes are dropped.
  public func reset(_ code: HTTP2ErrorCode) {
    guard !isClosed else { return }
    connection.reset(self, code)
  }

  /// Server: once the answer is out, tells a peer that still sends to stop (RFC 9113 section 8.1: NO_ERROR).
  public func resetAfterSending() {
    guard !isClosed else { return }
    resetsWhenSent = true
    connection.resetIfSent(self)
  }

  /// Lets the peer send `bytes` more.
  public func consume(_ bytes: Int) {
    guard !isClosed, bytes > 0 else { return }
    connection.consume(self, bytes)
  }

  /// Bytes that wait on all streams of the connection.
  public var connectionUnsentBytes: Int { isClosed ? 0 : connection.unsentBytes }

  func receivedEnd() {
    guard !hasReceivedEnd else { return }
    hasReceivedEnd = true
    delegate?.streamReceivedEnd(self)
  }

  /// Tells the owner once that all is over.
  func close(_ error: HTTP2ErrorCode) {
    guard !isClosed else { return }
    isClosed = true
    if output.capacityInBytes > SpareStreams.maxBytes { output.release() } else { output.clear() }
    let listener = delegate
    delegate = nil
    listener?.streamClosed(self, error: error)
  }
}
