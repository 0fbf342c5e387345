// What scripts/fuzz found in the HTTP/2 connection. Each test is a conversation that once crashed or hung.
import HTTP2
import NIOCore
import NIOEmbedded
import Testing

/// Frames as a peer would send them (RFC 9113 section 4.1).
private enum Wire {
  static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

  static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt8 = 0, _ payload: [UInt8] = []) -> [UInt8] {
    [0, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF), type, flags, 0, 0, 0, stream] + payload
  }

  static let settings = frame(4)
  /// A megabyte more for every stream and for the connection.
  static let wideWindows = frame(4, [0, 4, 0, 0x10, 0, 0]) + frame(8, [0, 0x10, 0, 0])
  static let emptyData = frame(0, stream: 1)
  static let shortPing = frame(6, [1, 2, 3, 4, 5, 6, 7])
  static func goAway(last: UInt8) -> [UInt8] { frame(7, [0, 0, 0, last, 0, 0, 0, 0]) }

  /// POST /a on stream 1, and more to come.
  static let request = frame(1, flags: 4, stream: 1, [0x83, 0x86, 0x04, 0x02, 0x2F, 0x61, 0x01, 0x01, 0x78])
}

/// Does what a test wants when a stream opens, has nothing more to send, or is over.
private final class Owner: HTTP2ConnectionDelegate, HTTP2StreamDelegate {
  var whenOpened: (HTTP2Stream) -> Void = { _ in }
  var whenDrained: () -> Void = {}
  var whenClosed: () -> Void = {}
  var whenReady: () -> Void = {}
  private(set) var streamErrors: [HTTP2ErrorCode] = []
  private(set) var timesClosed = 0

  func connection(_ connection: HTTP2Connection, opened stream: HTTP2Stream, headers: HTTP2Headers) {
    stream.delegate = self
    whenOpened(stream)
  }
  func connectionReady(_ connection: HTTP2Connection) { whenReady() }
  func connectionGoingAway(_ connection: HTTP2Connection, error: HTTP2ErrorCode) {}
  func connectionClosed(_ connection: HTTP2Connection, reason: String) { timesClosed += 1 }

  func stream(_ stream: HTTP2Stream, receivedHeaders headers: HTTP2Headers) {}
  func stream(_ stream: HTTP2Stream, receivedData data: UnsafeRawBufferPointer) { stream.consume(data.count) }
  func streamReceivedEnd(_ stream: HTTP2Stream) {}
  func streamDrained(_ stream: HTTP2Stream) { whenDrained() }
  func streamClosed(_ stream: HTTP2Stream, error: HTTP2ErrorCode) {
    streamErrors.append(error)
    whenClosed()
  }
}

/// A socket of which the so-many-th write fails: NIO then closes the channel before the write returns.
private final class FailingSocket: ChannelOutboundHandler {
  typealias OutboundIn = ByteBuffer
  private var flushesLeft: Int

  init(failsAt flush: Int) { flushesLeft = flush }

  func flush(context: ChannelHandlerContext) {
    flushesLeft -= 1
    if flushesLeft == 0 { context.close(promise: nil) } else { context.flush() }
  }
}

@Suite("Findings of the fuzzer")
struct RegressionTests {
  private func open(
    _ role: HTTP2Connection.Role, _ owner: Owner, _ configuration: HTTP2Configuration = HTTP2Configuration(),
    failsAt flush: Int = .max
  ) throws -> (HTTP2Connection, EmbeddedChannel) {
    let connection = HTTP2Connection(role: role, configuration: configuration)
    connection.delegate = owner
    let channel = EmbeddedChannel(handlers: [FailingSocket(failsAt: flush), connection])
    try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
    return (connection, channel)
  }

  private func close(_ channel: EmbeddedChannel, _ owner: Owner) {
    // A channel that closed itself throws here, which is as good.
    _ = try? channel.finish(acceptAlreadyClosed: true)
    #expect(owner.timesClosed == 1)
  }

  /// nghttp2 forgot that it had been told to end the session and met an assertion of its own, which ends the process.
  @Test("a flood that ends the connection, with a frame of a wrong size behind it in the same read, ends nothing else")
  func floodThenWrongSize() throws {
    let owner = Owner()
    let (connection, channel) = try open(.server, owner)
    try channel.writeInbound(ByteBuffer(bytes: Wire.preface + Wire.settings + Wire.request))
    let flood = Array(repeatElement(Wire.emptyData, count: 3000).joined())
    _ = try? channel.writeInbound(ByteBuffer(bytes: flood + Wire.shortPing))  // an error is as good as a close
    #expect(connection.isGoingAway || !channel.isActive)
    close(channel, owner)
    #expect(owner.streamErrors.count == 1)
  }

  /// The session was asked for more to send after it had been freed. To see that for certain, the environment must have
  /// MALLOC_PERTURB_ (mallopt(3)): memory that is merely free mostly still reads as before.
  @Test("a write that fails while there is more to send ends the connection once", arguments: 1...6)
  func failingWrite(_ flush: Int) throws {
    let owner = Owner()
    owner.whenOpened = { stream in
      stream.respond([":status": "200"])
      stream.write(ByteBuffer(repeating: 1, count: 500_000))
      stream.finish(trailers: ["grpc-status": "0"])
    }
    let (_, channel) = try open(.server, owner, failsAt: flush)
    let ping = Wire.frame(6, [1, 2, 3, 4, 5, 6, 7, 8])
    for bytes in [Wire.preface + Wire.wideWindows + Wire.request, ping, Wire.settings] where channel.isActive {
      _ = try? channel.writeInbound(ByteBuffer(bytes: bytes))  // an error is as good as a close
      channel.embeddedEventLoop.run()
    }
    close(channel, owner)
  }

  /// The session was made to send from inside its own send function.
  @Test(
    "a connection may be closed when a stream has nothing more to send, and when one is over", arguments: [true, false])
  func closingInside(_ whenDrained: Bool) throws {
    let owner = Owner()
    let (connection, channel) = try open(.server, owner)
    owner.whenOpened = { stream in
      stream.respond([":status": "200"])
      stream.write(ByteBuffer(repeating: 1, count: 1000))
      if !whenDrained { stream.reset(.cancel) }
    }
    if whenDrained {
      owner.whenDrained = { connection.closeNow() }
    } else {
      owner.whenClosed = { connection.closeNow() }
    }
    try channel.writeInbound(ByteBuffer(bytes: Wire.preface + Wire.settings + Wire.request))
    channel.embeddedEventLoop.run()
    #expect(connection.isGoingAway)
    close(channel, owner)
  }

  /// Its owner was told only when another stream ended, which may be never.
  @Test("a request that waits for the peer's limit of streams is refused when the peer goes away")
  func waitingRequest() throws {
    let owner = Owner()
    let waiting = Owner()
    let (connection, channel) = try open(.client, owner)
    let request: HTTP2Headers = [":method": "POST", ":scheme": "http", ":path": "/a", ":authority": "test"]
    let first = try #require(connection.open(request, delegate: owner))
    channel.embeddedEventLoop.run()
    // SETTINGS_MAX_CONCURRENT_STREAMS is 1.
    try channel.writeInbound(ByteBuffer(bytes: Wire.frame(4, [0, 3, 0, 0, 0, 1])))
    _ = try #require(connection.open(request, delegate: waiting))
    channel.embeddedEventLoop.run()
    try channel.writeInbound(ByteBuffer(bytes: Wire.goAway(last: 1)))
    channel.embeddedEventLoop.run()
    #expect(waiting.streamErrors == [.refusedStream])
    #expect(owner.streamErrors.isEmpty, "stream \(first.id) goes on")
    close(channel, owner)
  }
}
