// Our side of the conversation: owners of a connection and of streams that answer in different ways, and that note
// every call that should not have come.
import HTTP2
import NIOCore

/// How our side and its socket behave; the first two bytes of an input.
struct HTTP2Behaviour {
  static let size = 2

  private let byte: UInt8
  private let socketByte: UInt8

  init(_ input: UnsafeRawBufferPointer) {
    byte = input.first ?? 0
    socketByte = input.count > 1 ? input[1] : 0
  }

  /// Mostly a side that answers; each of the rarer ways about once in ten.
  static func write(_ generator: inout Generator, into input: inout [UInt8]) {
    var byte = UInt8(generator.below(8))
    for bit in 3..<8 where generator.chance(10) { byte |= 1 << UInt8(bit) }
    input.append(byte)
    var socketByte: UInt8 = generator.chance(12) ? UInt8(generator.below(8)) : 0
    for bit in 3..<5 where generator.chance(6) { socketByte |= 1 << UInt8(bit) }
    input.append(socketByte)
  }

  /// 0 answers at once, 1 at the end, 2 sends back what comes, 3 never, 4 resets, 5 answers with headers alone and
  /// stops the peer, 6 with a body larger than any window, 7 each stream in another way.
  func mode(_ stream: Int) -> Int { byte & 7 == 7 ? stream / 2 % 7 : Int(byte & 7) }
  /// Never gives a window back.
  var keepsData: Bool { byte & 8 != 0 }
  /// The socket takes nothing, so that output piles up.
  var stalls: Bool { byte & 16 != 0 }
  /// Drains, and a moment later closes, after the second read.
  var drains: Bool { byte & 32 != 0 }
  /// Closes the connection from inside a callback.
  var closesInside: Bool { byte & 64 != 0 }
  /// The socket fails when it is to send for the so-many-th time, which closes the channel at once; 0 for never.
  var closesAtFlush: Int { Int(socketByte & 7) }
  /// A client hears something before its requests have left.
  var requestsLate: Bool { socketByte & 8 != 0 }
  /// Streams that learn that they may send more, or that they are over, close the connection.
  var closesInsideOutput: Bool { socketByte & 16 != 0 }
  /// More is read in the moment between the close and the handler's removal.
  var readsAfterClose: Bool { byte & 128 != 0 }
}

/// What is counted over all of one input.
final class HTTP2Watch {
  let behaviour: HTTP2Behaviour
  var violation: String?
  /// Bytes that we wanted to send: output may grow by them.
  var answered = 0
  var liveStreams = 0
  var closedConnections = 0
  var opened = 0
  var peerGoesAway = false
  var streams: [Weak<HTTP2Stream>] = []

  static let maxWatched = 64

  init(_ behaviour: HTTP2Behaviour) { self.behaviour = behaviour }

  func note(_ text: String) { if violation == nil { violation = text } }

  func watch(_ stream: HTTP2Stream) {
    opened += 1
    if streams.count < Self.maxWatched { streams.append(Weak(stream)) }
  }
}

struct Weak<Object: AnyObject> {
  weak var object: Object?
  init(_ object: Object) { self.object = object }
}

final class WatchedStream: HTTP2StreamDelegate {
  private let watch: HTTP2Watch
  private weak var connection: HTTP2Connection?
  private let window: Int
  private let mode: Int
  private let isServer: Bool
  private var unconsumed = 0
  private var hasEnded = false
  private var isClosed = false
  private var hasAnswered = false

  static let body = ByteBuffer(repeating: 7, count: 100)
  static let largeBody = ByteBuffer(repeating: 7, count: 200 << 10)
  /// Bytes of header frames of one answer, roughly.
  static let headerCost = 200

  init(_ watch: HTTP2Watch, _ connection: HTTP2Connection, window: Int, mode: Int) {
    self.watch = watch
    self.connection = connection
    self.window = window
    self.mode = mode
    isServer = connection.role == .server
    watch.liveStreams += 1
  }

  deinit { watch.liveStreams -= 1 }

  /// Server: the request is here.
  func begin(_ stream: HTTP2Stream) {
    switch mode {
    case 0, 6: answer(stream)
    case 2:
      hasAnswered = true
      watch.answered += Self.headerCost
      stream.respond([":status": "200", "content-type": "application/grpc"])
    case 4: stream.reset(.cancel)
    case 5:
      hasAnswered = true
      watch.answered += Self.headerCost
      stream.respond([":status": "200", "grpc-status": "12"], endStream: true)
      stream.resetAfterSending()
    default: break
    }
    closeInside()
  }

  private func answer(_ stream: HTTP2Stream) {
    guard isServer, !hasAnswered else { return }
    hasAnswered = true
    stream.respond([":status": "200", "content-type": "application/grpc"])
    let body = mode == 6 ? Self.largeBody : Self.body
    watch.answered += Self.headerCost + body.readableBytes + body.readableBytes / 8
    stream.write(body)
    stream.finish(trailers: ["grpc-status": "0"])
  }

  private func closeInside() {
    if watch.behaviour.closesInside, watch.opened > 1 { connection?.closeNow() }
  }

  func stream(_ stream: HTTP2Stream, receivedHeaders headers: HTTP2Headers) {
    if isClosed { watch.note("headers after a stream's end") }
    if hasEnded { watch.note("headers after the peer's last word") }
    headers.forEach { name, _ in if name.isEmpty { watch.note("a header without a name") } }
    closeInside()
  }

  func stream(_ stream: HTTP2Stream, receivedData data: UnsafeRawBufferPointer) {
    if isClosed { watch.note("data after a stream's end") }
    if hasEnded { watch.note("data after the peer's last word") }
    unconsumed += data.count
    if unconsumed > window { watch.note("\(unconsumed) bytes on a stream with a window of \(window)") }
    if mode == 2, isServer, stream.unsentBytes < 1 << 16 {
      watch.answered += data.count + data.count / 8 + 20
      stream.write(data)
    }
    guard !watch.behaviour.keepsData else { return }
    unconsumed -= data.count
    stream.consume(data.count)
    closeInside()
  }

  func streamReceivedEnd(_ stream: HTTP2Stream) {
    if hasEnded { watch.note("a second end of a stream") }
    if isClosed { watch.note("the end of a stream that is closed") }
    hasEnded = true
    if mode == 1 { answer(stream) }
    if mode == 2, isServer {
      watch.answered += Self.headerCost
      stream.finish(trailers: ["grpc-status": "0"])
    }
  }

  func streamDrained(_ stream: HTTP2Stream) {
    if isClosed { watch.note("a stream that is closed wants more to send") }
    if watch.behaviour.closesInsideOutput { connection?.closeNow() }
  }

  func streamClosed(_ stream: HTTP2Stream, error: HTTP2ErrorCode) {
    if isClosed { watch.note("a stream closed twice") }
    isClosed = true
    if watch.behaviour.closesInsideOutput { connection?.closeNow() }
  }
}

final class WatchedConnection: HTTP2ConnectionDelegate {
  private let watch: HTTP2Watch
  private let window: Int
  /// Client: how many streams a stream's end may make it open anew.
  private var reopens = 8

  init(_ watch: HTTP2Watch, window: Int) {
    self.watch = watch
    self.window = window
  }

  func connection(_ connection: HTTP2Connection, opened stream: HTTP2Stream, headers: HTTP2Headers) {
    if watch.closedConnections > 0 { watch.note("a stream opened on a closed connection") }
    if connection.role == .client { watch.note("a server opened a stream") }
    if connection.openStreams > Int(connection.configuration.maxConcurrentStreams) {
      watch.note("\(connection.openStreams) streams are open at once")
    }
    var listSize = 0
    headers.forEach { name, value in listSize += name.utf8.count + value.utf8.count + 32 }
    // A byte that is not UTF-8 counts as three here.
    if listSize > 3 * connection.configuration.maxHeaderListSize { watch.note("headers over the limit") }
    let listener = WatchedStream(watch, connection, window: window, mode: watch.behaviour.mode(Int(stream.id)))
    stream.delegate = listener
    watch.watch(stream)
    listener.begin(stream)
  }

  /// Client: sends a request.
  func request(on connection: HTTP2Connection) {
    let mode = watch.behaviour.mode(watch.opened * 2)
    let listener = WatchedStream(watch, connection, window: window, mode: mode)
    let headers: HTTP2Headers = [
      ":method": "POST", ":scheme": "http", ":path": "/a.B/C", ":authority": "test", "te": "trailers",
    ]
    guard let stream = connection.open(headers, delegate: listener) else { return }
    watch.watch(stream)
    let body = mode == 6 ? WatchedStream.largeBody : WatchedStream.body
    watch.answered += WatchedStream.headerCost + body.readableBytes + body.readableBytes / 8
    stream.write(body)
    switch mode {
    case 3: break
    case 4: stream.reset(.cancel)
    default: stream.finish()
    }
  }

  func connectionReady(_ connection: HTTP2Connection) {
    if watch.closedConnections > 0 { watch.note("a closed connection is ready") }
    if connection.role == .client, reopens > 0 {
      reopens -= 1
      request(on: connection)
    }
  }

  func connectionGoingAway(_ connection: HTTP2Connection, error: HTTP2ErrorCode) {
    if watch.closedConnections > 0 { watch.note("a closed connection goes away") }
    watch.peerGoesAway = true
  }

  func connectionClosed(_ connection: HTTP2Connection, reason: String) {
    watch.closedConnections += 1
    if watch.closedConnections > 1 { watch.note("a connection closed twice") }
    if connection.openStreams != 0 { watch.note("streams are open on a closed connection") }
    if reason.isEmpty { watch.note("a connection closed without a reason") }
  }
}
