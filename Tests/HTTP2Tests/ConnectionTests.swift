// Two connections that speak to each other through memory, and one that is fed bytes no peer should send.
import HTTP2
import NIOCore
import NIOEmbedded
import Testing

/// Keeps all that a stream's owner hears.
final class Recorder: HTTP2StreamDelegate {
  var headers: [HTTP2Headers] = []
  var body: [UInt8] = []
  var ended = false
  var closed: HTTP2ErrorCode?
  var consumes = true

  func stream(_ stream: HTTP2Stream, receivedHeaders headers: HTTP2Headers) { self.headers.append(headers) }
  func stream(_ stream: HTTP2Stream, receivedData data: UnsafeRawBufferPointer) {
    body.append(contentsOf: data)
    if consumes { stream.consume(data.count) }
  }
  func streamReceivedEnd(_ stream: HTTP2Stream) { ended = true }
  func streamDrained(_ stream: HTTP2Stream) {}
  func streamClosed(_ stream: HTTP2Stream, error: HTTP2ErrorCode) { closed = error }
}

/// Accepts streams and keeps what it hears of the connection.
final class Acceptor: HTTP2ConnectionDelegate {
  var opened: [(stream: HTTP2Stream, headers: HTTP2Headers, recorder: Recorder)] = []
  var consumes = true
  var goingAway = false
  var closedReason: String?

  func connection(_ connection: HTTP2Connection, opened stream: HTTP2Stream, headers: HTTP2Headers) {
    let recorder = Recorder()
    recorder.consumes = consumes
    stream.delegate = recorder
    opened.append((stream, headers, recorder))
  }
  func connectionReady(_ connection: HTTP2Connection) {}
  func connectionGoingAway(_ connection: HTTP2Connection, error: HTTP2ErrorCode) { goingAway = true }
  func connectionClosed(_ connection: HTTP2Connection, reason: String) { closedReason = reason }
}

/// A client and a server joined back to back.
struct Joined {
  let client = HTTP2Connection(role: .client)
  let server: HTTP2Connection
  let clientSide = Acceptor()
  let serverSide = Acceptor()
  let clientChannel: EmbeddedChannel
  let serverChannel: EmbeddedChannel

  init(server configuration: HTTP2Configuration = HTTP2Configuration()) throws {
    server = HTTP2Connection(role: .server, configuration: configuration)
    client.delegate = clientSide
    server.delegate = serverSide
    clientChannel = EmbeddedChannel(handler: client)
    serverChannel = EmbeddedChannel(handler: server)
    let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
    try clientChannel.connect(to: address).wait()
    try serverChannel.connect(to: address).wait()
    try exchange()
  }

  /// Carries bytes both ways until neither side has more to say.
  func exchange() throws {
    var moved = true
    while moved {
      moved = false
      clientChannel.embeddedEventLoop.run()
      serverChannel.embeddedEventLoop.run()
      while let bytes = try clientChannel.readOutbound(as: ByteBuffer.self) {
        moved = true
        if serverChannel.isActive { try serverChannel.writeInbound(bytes) }
      }
      while let bytes = try serverChannel.readOutbound(as: ByteBuffer.self) {
        moved = true
        if clientChannel.isActive { try clientChannel.writeInbound(bytes) }
      }
    }
  }

  func finish() {
    // Channels that already closed throw here, which is fine: the test has seen what it wanted.
    _ = try? clientChannel.finish(acceptAlreadyClosed: true)
    _ = try? serverChannel.finish(acceptAlreadyClosed: true)
  }
}

let request: HTTP2Headers = [":method": "POST", ":scheme": "http", ":path": "/a/b", ":authority": "test", "x-one": "1"]

@Suite("HTTP/2 connections")
struct ConnectionTests {
  @Test("a request and its response cross with headers, body and trailers")
  func exchange() throws {
    let joined = try Joined()
    defer { joined.finish() }
    let recorder = Recorder()
    let stream = try #require(joined.client.open(request, delegate: recorder))
    stream.write(ByteBuffer(string: "hello"))
    stream.finish()
    try joined.exchange()
    let (accepted, headers, heard) = try #require(joined.serverSide.opened.first)
    #expect(headers[":path"] == "/a/b")
    #expect(headers["x-one"] == "1")
    #expect(headers["x-two"] == nil)
    #expect(heard.body == Array("hello".utf8))
    #expect(heard.ended)
    accepted.respond([":status": "200", "content-type": "text/plain"])
    accepted.write(ByteBuffer(string: "world"))
    accepted.finish(trailers: ["x-last": "word"])
    try joined.exchange()
    #expect(recorder.headers.first?[":status"] == "200")
    #expect(recorder.body == Array("world".utf8))
    #expect(recorder.headers.last?["x-last"] == "word")
    #expect(recorder.closed == .noError)
    #expect(joined.server.openStreams == 0)
    #expect(joined.client.openStreams == 0)
  }

  /// Answers the request that has come, in one of three ways, and lets go of it.
  /// - Returns: the stream, if it is to be held.
  private func answer(_ joined: Joined, round: Int, with text: String, holding: Bool) throws -> HTTP2Stream? {
    let opened = try #require(joined.serverSide.opened.last)
    joined.serverSide.opened = []
    let stream = opened.stream
    #expect(opened.recorder.body == Array("question \(round)".utf8))
    #expect(!stream.hasEndedOutput && stream.unsentBytes == 0)
    if round % 3 == 2 {
      stream.reset(.internalError)
    } else {
      stream.respond([":status": "200"])
      stream.write(ByteBuffer(string: text))
      stream.finish(trailers: round % 3 == 0 ? ["x-round": "\(round)"] : nil)
    }
    return holding ? stream : nil
  }

  @Test("a stream begins anew whatever the last one was like; one that its owner still holds stays as it ended")
  func again() throws {
    let joined = try Joined()
    defer { joined.finish() }
    var held: HTTP2Stream?
    for round in 0..<9 {
      let recorder = Recorder()
      do {
        let stream = try #require(joined.client.open(request, delegate: recorder))
        stream.write(ByteBuffer(string: "question \(round)"))
        stream.finish()
      }
      try joined.exchange()
      let text = String(repeating: "x", count: round * 100)
      if let stream = try answer(joined, round: round, with: text, holding: round == 1) { held = stream }
      try joined.exchange()
      #expect(recorder.closed == (round % 3 == 2 ? .internalError : .noError))
      #expect(recorder.body == (round % 3 == 2 ? [] : Array(text.utf8)))
      #expect(recorder.headers.count == [2, 1, 0][round % 3])
      if round % 3 == 0 { #expect(recorder.headers.last?["x-round"] == "\(round)") }
    }
    #expect(held?.id == 3)
    #expect(held?.hasEndedOutput == true)
    held?.write(ByteBuffer(string: "too late"))
    #expect(held?.unsentBytes == 0)
  }

  @Test("a body larger than all windows arrives whole while it is consumed")
  func largeBody() throws {
    let joined = try Joined()
    defer { joined.finish() }
    let stream = try #require(joined.client.open(request, delegate: Recorder()))
    let body = (0..<5 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    stream.write(ByteBuffer(bytes: body))
    stream.finish()
    try joined.exchange()
    #expect(joined.serverSide.opened.first?.recorder.body == body)
  }

  @Test("a reader that consumes nothing gets one window of a stream and no more")
  func flowControl() throws {
    let joined = try Joined()
    defer { joined.finish() }
    joined.serverSide.consumes = false
    let stream = try #require(joined.client.open(request, delegate: Recorder()))
    stream.write(ByteBuffer(repeating: 1, count: 3 << 20))
    try joined.exchange()
    let first = try #require(joined.serverSide.opened.first)
    #expect(first.recorder.body.count == 1 << 20)
    #expect(stream.unsentBytes == 2 << 20)
    // Other streams of the connection are not held back by it.
    let other = try #require(joined.client.open(request, delegate: Recorder()))
    other.write(ByteBuffer(repeating: 2, count: 1000))
    try joined.exchange()
    #expect(joined.serverSide.opened.last?.recorder.body.count == 1000)
    first.stream.consume(1 << 20)
    try joined.exchange()
    #expect(first.recorder.body.count == 2 << 20)
  }

  @Test("a header list over the limit is refused without ending the connection")
  func headerLimit() throws {
    var configuration = HTTP2Configuration()
    configuration.maxHeaderListSize = 1000
    let joined = try Joined(server: configuration)
    defer { joined.finish() }
    var large = request
    large.add("x-large", String(repeating: "a", count: 2000))
    let refused = Recorder()
    _ = try #require(joined.client.open(large, delegate: refused))
    try joined.exchange()
    #expect(refused.closed == .enhanceYourCalm)
    #expect(joined.serverSide.opened.isEmpty)
    _ = try #require(joined.client.open(request, delegate: Recorder()))
    try joined.exchange()
    #expect(joined.serverSide.opened.count == 1, "the header table stayed in step")
  }

  @Test("a reset reaches the other side with its code")
  func reset() throws {
    let joined = try Joined()
    defer { joined.finish() }
    let stream = try #require(joined.client.open(request, delegate: Recorder()))
    try joined.exchange()
    stream.reset(.cancel)
    try joined.exchange()
    #expect(joined.serverSide.opened.first?.recorder.closed == .cancel)
  }

  @Test("a draining server lets running streams end, takes no new ones, and closes")
  func drain() throws {
    let joined = try Joined()
    defer { joined.finish() }
    let recorder = Recorder()
    _ = try #require(joined.client.open(request, delegate: recorder))
    try joined.exchange()
    joined.server.drainAndClose()
    try joined.exchange()
    joined.serverChannel.embeddedEventLoop.advanceTime(by: .seconds(1))
    try joined.exchange()
    #expect(joined.clientSide.goingAway)
    #expect(joined.client.open(request, delegate: Recorder()) == nil)
    #expect(joined.serverChannel.isActive)
    let accepted = try #require(joined.serverSide.opened.first?.stream)
    accepted.respond([":status": "204"], endStream: true)
    // The request never ended: once the answer is out, its sender is told to stop.
    accepted.resetAfterSending()
    try joined.exchange()
    #expect(recorder.headers.first?[":status"] == "204")
    #expect(joined.serverSide.closedReason != nil, "the connection closed once it was idle")
  }

  @Test("streams learn that their connection was lost")
  func lost() throws {
    let joined = try Joined()
    let recorder = Recorder()
    _ = try #require(joined.client.open(request, delegate: recorder))
    try joined.exchange()
    joined.finish()
    #expect(recorder.closed == .connectionLost)
    #expect(joined.clientSide.closedReason != nil)
  }

  @Test("bytes that are not HTTP/2 end the connection and nothing else")
  func garbage() throws {
    var generator = SystemRandomNumberGenerator()
    let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    for round in 0..<2000 {
      let side = Acceptor()
      let connection = HTTP2Connection(role: .server)
      connection.delegate = side
      let channel = EmbeddedChannel(handler: connection)
      try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
      var bytes = round % 2 == 0 ? preface + [0, 0, 0, 4, 0, 0, 0, 0, 0] : []
      for _ in 0..<Int.random(in: 1...200, using: &generator) { bytes.append(.random(in: 0...255, using: &generator)) }
      try channel.writeInbound(ByteBuffer(bytes: bytes))
      channel.embeddedEventLoop.run()
      if round % 2 == 1 { #expect(!channel.isActive || bytes.count < 24) }
      _ = try? channel.finish(acceptAlreadyClosed: true)  // a channel that closed itself is as good
      #expect(side.closedReason != nil)
    }
  }
}
