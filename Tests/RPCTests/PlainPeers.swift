// Peers that say what no client or server of ours would: HTTP/2 without gRPC on both sides, and a bare TCP socket.
import HTTP2
import NIOCore
import NIOPosix
import RPC
import Synchronization

/// What a peer heard on one stream.
struct Heard: Sendable {
  var headers: [HTTP2Headers] = []
  var body: [UInt8] = []
  var closed: HTTP2ErrorCode?

  /// The last header block's word on this.
  func value(_ name: StaticString) -> String? { headers.last?[name] }
}

/// Collects what arrives on a stream. Confined to its event loop.
private final class Collector: HTTP2StreamDelegate {
  private var heard = Heard()
  private let whenClosed: (Heard) -> Void
  init(_ whenClosed: @escaping (Heard) -> Void) { self.whenClosed = whenClosed }

  func stream(_ stream: HTTP2Stream, receivedHeaders headers: HTTP2Headers) { heard.headers.append(headers) }
  func stream(_ stream: HTTP2Stream, receivedData data: UnsafeRawBufferPointer) {
    heard.body.append(contentsOf: data)
    stream.consume(data.count)
  }
  func streamReceivedEnd(_ stream: HTTP2Stream) {}
  func streamDrained(_ stream: HTTP2Stream) {}
  func streamClosed(_ stream: HTTP2Stream, error: HTTP2ErrorCode) {
    heard.closed = error
    whenClosed(heard)
  }
}

private final class Ignorer: HTTP2ConnectionDelegate {
  func connection(_ connection: HTTP2Connection, opened stream: HTTP2Stream, headers: HTTP2Headers) {}
  func connectionReady(_ connection: HTTP2Connection) {}
  func connectionGoingAway(_ connection: HTTP2Connection, error: HTTP2ErrorCode) {}
  func connectionClosed(_ connection: HTTP2Connection, reason: String) {}
}

/// Sends requests whose header fields and bytes are the test's.
enum PlainClient {
  static func call(
    _ port: Int, path: String, headers more: [(String, String)] = [], body: [UInt8]
  ) async throws -> Heard {
    let transport = HTTP2Connection(role: .client)
    let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          transport.delegate = Ignorer()
          try channel.pipeline.syncOperations.addHandler(transport)
        }
      }
      .connect(host: "127.0.0.1", port: port).get()
    let promise = channel.eventLoop.makePromise(of: Heard.self)
    channel.eventLoop.execute {
      var headers: HTTP2Headers = [":method": "POST", ":scheme": "http", ":authority": "test"]
      headers.add(":path", path)
      headers.add("content-type", "application/grpc")
      headers.add("te", "trailers")
      for (name, value) in more { headers.add(name, value) }
      let stream = transport.open(headers, delegate: Collector { promise.succeed($0) })
      stream?.write(ByteBuffer(bytes: body))
      stream?.finish()
    }
    let heard = try await promise.futureResult.get()
    try? await channel.close()  // closed already is as good
    return heard
  }
}

/// Answers requests as the test says.
final class PlainServer: HTTP2ConnectionDelegate, Sendable {
  typealias Answer = @Sendable (_ number: Int, HTTP2Connection, HTTP2Stream, HTTP2Headers) -> Void

  private let answer: Answer
  private let requests = Count()
  private let listener = Mutex<(any Channel)?>(nil)
  private init(_ answer: @escaping Answer) { self.answer = answer }

  /// How many requests came.
  var count: Int { requests.value }

  /// - Parameter answer: called with each request on its connection's event loop; the first has number 1.
  static func with<R>(
    _ answer: @escaping Answer, _ body: (PlainServer, ClientChannel) async throws -> R
  ) async throws -> R {
    let server = PlainServer(answer)
    let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let transport = HTTP2Connection(role: .server)
          transport.delegate = server
          try channel.pipeline.syncOperations.addHandler(transport)
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let channel = ClientChannel(host: "127.0.0.1", port: listener.localAddress?.port ?? 0)
    let result: Result<R, any Error>
    do { result = .success(try await body(server, channel)) } catch { result = .failure(error) }
    await channel.close()
    try await listener.close()
    return try result.get()
  }

  func connection(_ connection: HTTP2Connection, opened stream: HTTP2Stream, headers: HTTP2Headers) {
    stream.delegate = Collector { _ in }
    answer(requests.add(), connection, stream, headers)
  }
  func connectionReady(_ connection: HTTP2Connection) {}
  func connectionGoingAway(_ connection: HTTP2Connection, error: HTTP2ErrorCode) {}
  func connectionClosed(_ connection: HTTP2Connection, reason: String) {}
}

extension HTTP2Stream {
  /// An empty message and OK.
  func respondOK() {
    respond([":status": "200", "content-type": "application/grpc"])
    write(ByteBuffer(bytes: [0, 0, 0, 0, 0]))
    finish(trailers: ["grpc-status": "0"])
  }
}

/// One end of a TCP connection that says only what it is told to.
final class BareSocket: ChannelInboundHandler, Sendable {
  typealias InboundIn = ByteBuffer
  enum Event: Sendable, Equatable { case bytes([UInt8]), closed }

  static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
  static let settings: [UInt8] = [0, 0, 0, 4, 0, 0, 0, 0, 0]

  let events = Log<Event>()
  private let greeting: [UInt8]
  private init(_ greeting: [UInt8]) { self.greeting = greeting }

  func channelActive(context: ChannelHandlerContext) {
    if !greeting.isEmpty {
      context.writeAndFlush(NIOAny(ByteBuffer(bytes: greeting)), promise: nil)
    }
  }
  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    events.add(.bytes(Array(unwrapInboundIn(data).readableBytesView)))
  }
  func channelInactive(context: ChannelHandlerContext) { events.add(.closed) }
  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  /// All that was heard.
  var heard: [UInt8] {
    events.entries.flatMap { (event) -> [UInt8] in if case .bytes(let bytes) = event { bytes } else { [] } }
  }

  /// Connects, says this and listens.
  static func connect(_ port: Int, saying greeting: [UInt8]) async throws -> BareSocket {
    let socket = BareSocket(greeting)
    _ = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(socket) }
      }
      .connect(host: "127.0.0.1", port: port).get()
    return socket
  }

  /// Listens, and says this to whoever connects.
  static func listen<R>(
    saying greeting: [UInt8], _ body: (_ port: Int, _ accepted: Log<BareSocket>) async throws -> R
  ) async throws -> R {
    let accepted = Log<BareSocket>()
    let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let socket = BareSocket(greeting)
          try channel.pipeline.syncOperations.addHandler(socket)
          accepted.add(socket)
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let result: Result<R, any Error>
    do { result = .success(try await body(listener.localAddress?.port ?? 0, accepted)) } catch {
      result = .failure(error)
    }
    try await listener.close()
    return try result.get()
  }
}

extension Log where Entry: AnyObject {
  /// The first one there is.
  func first() async throws -> Entry {
    guard let entry = await until({ entries in !entries.isEmpty }).first else { throw CancellationError() }
    return entry
  }
}

/// A message with its prefix.
func framed(_ message: [UInt8], isCompressed: Bool = false) -> [UInt8] {
  let length = UInt32(message.count)
  return [isCompressed ? 1 : 0] + [24, 16, 8, 0].map { UInt8(length >> $0 & 255) } + message
}
