// What a client sends is what it was asked to send, though nghttp2 saw short stand-ins of its tokens.
import CNghttp2
import NIOCore
import NIOEmbedded
import Testing

@testable import HTTP2

@Suite struct SentTokensTests {
  /// A connected client and server, whose requests' fields are kept as the server gets them.
  private final class Link {
    let client = EmbeddedChannel()
    let server = EmbeddedChannel()
    let connection = HTTP2Connection(role: .client)
    let requests = Requests()
    private(set) var bytes: [UInt8] = []

    init(maxStreams: UInt32 = 100) throws {
      var configuration = HTTP2Configuration()
      configuration.maxConcurrentStreams = maxStreams
      let peer = HTTP2Connection(role: .server, configuration: configuration)
      peer.delegate = requests
      for (channel, handler) in [(client, connection), (server, peer)] {
        try channel.pipeline.syncOperations.addHandler(handler)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
      }
      try carry()
    }

    func carry() throws {
      for _ in 0..<20 {
        client.embeddedEventLoop.run()
        server.embeddedEventLoop.run()
        while let sent = try client.readOutbound(as: ByteBuffer.self) {
          bytes += Array(buffer: sent)
          try server.writeInbound(sent)
        }
        while let sent = try server.readOutbound(as: ByteBuffer.self) { try client.writeInbound(sent) }
      }
    }

    func open(_ token: String, _ extra: [(String, String)] = []) -> HTTP2Stream? {
      var headers: HTTP2Headers = [":method": "POST", ":scheme": "http", ":path": "/a.B/C", ":authority": "localhost"]
      headers.add("authorization", token)
      headers.add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
      for (name, value) in extra { headers.add(name, value) }
      let stream = connection.open(headers, delegate: requests)
      stream?.finish()
      return stream
    }
  }

  private final class Requests: HTTP2ConnectionDelegate, HTTP2StreamDelegate {
    var tokens: [String] = []
    /// Whether requests are answered at once.
    var answers = true
    var waiting: [HTTP2Stream] = []

    func connection(_ connection: HTTP2Connection, opened stream: HTTP2Stream, headers: HTTP2Headers) {
      tokens.append(headers["authorization"] ?? "none")
      if answers { stream.respond([":status": "200"], endStream: true) } else { waiting.append(stream) }
    }
    func connectionReady(_ connection: HTTP2Connection) {}
    func connectionGoingAway(_ connection: HTTP2Connection, error: HTTP2ErrorCode) {}
    func connectionClosed(_ connection: HTTP2Connection, reason: String) {}
    func stream(_ stream: HTTP2Stream, receivedHeaders headers: HTTP2Headers) {}
    func stream(_ stream: HTTP2Stream, receivedData data: UnsafeRawBufferPointer) {}
    func streamReceivedEnd(_ stream: HTTP2Stream) {}
    func streamDrained(_ stream: HTTP2Stream) {}
    func streamClosed(_ stream: HTTP2Stream, error: HTTP2ErrorCode) {}
  }

  private static func token(_ number: Int) -> String {
    "Bearer " + String(repeating: "token\(number).Ab-_", count: 25)
  }

  @Test("tokens come as they were given, one user's or many, short or long")
  func tokens() throws {
    let link = try Link()
    var sent: [String] = []
    var random = SystemRandomNumberGenerator()
    let special = ["", "Bearer short", "Bearer ~~~~{}|\\^" + String(repeating: "~", count: 200), "Basic " + String(repeating: "q", count: 3000)]
    for round in 0..<300 {
      let token =
        switch round % 10 {
        case 0: special.randomElement(using: &random) ?? ""
        case 1..<6: Self.token(0)
        default: Self.token(Int.random(in: 0..<9, using: &random))
        }
      sent.append(token)
      #expect(link.open(token, round % 50 == 7 ? [("filler", String(repeating: "~", count: 9000))] : []) != nil)
      if round % 7 == 0 { try link.carry() }
    }
    try link.carry()
    #expect(link.requests.tokens == sent)
  }

  @Test("a token that comes again is not coded again, and fields that differ each time leave the table alone")
  func once() throws {
    let link = try Link()
    var sizes: [Int] = []
    for number in 0..<6 {
      let before = link.bytes.count
      _ = link.open(Self.token(1), [("grpc-timeout", "\(900_000 + number)u")])
      try link.carry()
      sizes.append(link.bytes.count - before)
    }
    // The same bytes go to the peer as if nghttp2 had coded all of them.
    #expect(sizes[1...].allSatisfy { $0 == sizes[1] })
    #expect(link.requests.tokens == Array(repeating: Self.token(1), count: 6))
  }

  @Test("requests that wait for the peer's limit, or are withdrawn meanwhile, keep their own tokens")
  func waiting() throws {
    let link = try Link(maxStreams: 2)
    link.requests.answers = false
    for _ in 0..<3 {
      // All are known after this, and more than can be remembered.
      for number in 0..<6 {
        for _ in 0..<2 { _ = link.open(Self.token(number)) }
      }
      for _ in 0..<20 {
        try link.carry()
        for stream in link.requests.waiting { stream.respond([":status": "200"], endStream: true) }
        link.requests.waiting = []
      }
    }
    let before = link.requests.tokens.count
    let streams = (0..<12).map { link.open(Self.token($0 % 6)) }
    for index in stride(from: 3, to: 12, by: 3) { streams[index]?.reset(.cancel) }
    for _ in 0..<20 {
      try link.carry()
      for stream in link.requests.waiting { stream.respond([":status": "200"], endStream: true) }
      link.requests.waiting = []
    }
    let kept = (0..<12).filter { $0 == 0 || $0 % 3 != 0 }.map { Self.token($0 % 6) }
    #expect(Array(link.requests.tokens[before...]) == kept)
  }
}
