// Peers that fall silent: what ends their connections, on both sides.
import HTTP2
import InteropMessages
import NIOCore
import RPC
import Testing

@Suite("Keepalive and silence", .timeLimit(.minutes(2)))
struct KeepaliveTests {
  /// Frame types in what a peer was sent (RFC 9113 section 4.1).
  private func frames(_ bytes: [UInt8]) -> [UInt8] {
    var rest = bytes[...]
    if rest.starts(with: BareSocket.preface) { rest = rest.dropFirst(BareSocket.preface.count) }
    var types: [UInt8] = []
    while rest.count >= 9 {
      let head = Array(rest.prefix(9))
      types.append(head[3])
      rest = rest.dropFirst(9 + Int(head[0]) << 16 + Int(head[1]) << 8 + Int(head[2]))
    }
    return types
  }
  private let ping: UInt8 = 6
  private let goAway: UInt8 = 7

  @Test("a client asks a silent server, and gives its connection up when no answer comes")
  func deadServer() async throws {
    try await BareSocket.listen(saying: BareSocket.settings) { port, accepted in
      var configuration = ClientConfiguration()
      configuration.http2.keepaliveTime = .milliseconds(50)
      configuration.http2.keepaliveTimeout = .milliseconds(50)
      let channel = ClientChannel(host: "127.0.0.1", port: port, configuration: configuration)
      let error = await failure { () async throws(RPCError) in
        try await channel.unary(TestService.emptyCall, Empty(), .timeout(.seconds(60)))
      }
      #expect(error?.code == .unavailable)
      let socket = try await accepted.first()
      await socket.events.until(.closed)
      #expect(frames(socket.heard).contains(ping))
      await channel.close()
    }
  }

  @Test("a client whose server never says it speaks HTTP/2 gives its connection up")
  func mute() async throws {
    try await BareSocket.listen(saying: []) { port, accepted in
      var configuration = ClientConfiguration()
      configuration.http2.headerTimeout = .milliseconds(100)
      let channel = ClientChannel(host: "127.0.0.1", port: port, configuration: configuration)
      let error = await failure { () async throws(RPCError) in
        try await channel.unary(TestService.emptyCall, Empty(), .timeout(.seconds(60)))
      }
      #expect(error?.code == .unavailable)
      let socket = try await accepted.first()
      await socket.events.until(.closed)
      await channel.close()
    }
  }

  @Test("a client without calls does not ask, unless it is told to", arguments: [false, true])
  func idleClient(_ asks: Bool) async throws {
    try await BareSocket.listen(saying: BareSocket.settings) { port, accepted in
      var configuration = ClientConfiguration()
      configuration.http2.keepaliveTime = .milliseconds(30)
      configuration.http2.keepaliveTimeout = .milliseconds(30)
      configuration.http2.keepaliveWithoutStreams = asks
      let channel = ClientChannel(host: "127.0.0.1", port: port, configuration: configuration)
      // The call makes the connection and is over at once.
      let call = Task { try await channel.unary(TestService.emptyCall, Empty()) }
      let socket = try await accepted.first()
      await socket.events.until { _ in frames(socket.heard).contains(1) }
      call.cancel()
      let closed = await within(.milliseconds(asks ? 60_000 : 400)) {
        await socket.events.until { $0.contains(.closed) }
      }
      #expect((closed != nil) == asks)
      await channel.close()
    }
  }

  @Test("keepalive leaves a connection alone whose peer answers")
  func livingPeer() async throws {
    let method = UnaryMethod<Empty, Empty>("test.Slow", "Wait")
    var server = ServerConfiguration()
    server.http2.keepaliveTime = .milliseconds(20)
    server.http2.keepaliveTimeout = .seconds(20)
    var client = ClientConfiguration()
    client.http2 = server.http2
    try await Pair.with(server: server, client: client) { router in
      router.handle(method) { (_: Empty, _: CallContext) async throws(RPCError) -> Empty in
        // A handler's work, for the time of some twenty questions each way.
        do { try await Task.sleep(for: .milliseconds(400)) } catch { throw RPCError(.cancelled, "cancelled") }
        return Empty()
      }
    } _: { pair in
      _ = try await pair.channel.unary(method, Empty())
      #expect(pair.server.openConnections == 1)
    }
  }

  @Test("a server asks a silent client that has a call under way, and ends its connection and the call")
  func deadClient() async throws {
    let method = BidirectionalMethod<Empty, Empty>("test.Slow", "Listen")
    let events = Log<String>()
    var configuration = ServerConfiguration()
    configuration.http2.keepaliveTime = .milliseconds(50)
    configuration.http2.keepaliveTimeout = .milliseconds(50)
    try await Pair.with(server: configuration) { router in
      router.handle(method) {
        (requests: RequestStream<Empty>, _: CallContext, _: ResponseWriter<Empty>) async throws(RPCError) in
        events.add("began")
        defer { events.add("ended") }
        for try await _ in requests {}
      }
    } _: { pair in
      // Header fields as literals (RFC 7541 section 6.2.2).
      let request =
        [0x83, 0x86] + literal(":path", method.path) + literal(":authority", "test")
        + literal("content-type", "application/grpc") + literal("te", "trailers")
      let headers: [UInt8] = [0, 0, UInt8(request.count), 1, 4, 0, 0, 0, 1]
      let socket = try await BareSocket.connect(
        pair.port, saying: BareSocket.preface + BareSocket.settings + headers + request)
      await events.until("began")
      await events.until("ended")
      await socket.events.until(.closed)
      #expect(frames(socket.heard).contains(ping))
    }
  }

  private func literal(_ name: String, _ value: String) -> [UInt8] {
    [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
  }

  @Test(
    "a client that stops in the middle of what it has to say is not waited for",
    arguments: [
      [],
      Array(BareSocket.preface.prefix(10)),
      BareSocket.preface,
      BareSocket.preface + Array(BareSocket.settings.prefix(4)),
      BareSocket.preface + BareSocket.settings + [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3],
      BareSocket.preface + BareSocket.settings + [0, 0, 50, 1, 4, 0, 0, 0, 1, 0x83],
      // A header block that CONTINUATION frames were to go on with.
      BareSocket.preface + BareSocket.settings + [0, 0, 1, 1, 0, 0, 0, 0, 1, 0x83],
    ] as [[UInt8]])
  func stopsHalfway(_ said: [UInt8]) async throws {
    var configuration = ServerConfiguration()
    configuration.headerTimeout = .milliseconds(100)
    try await Pair.with(server: configuration) { pair in
      let socket = try await BareSocket.connect(pair.port, saying: said)
      await socket.events.until(.closed)
      #expect(frames(socket.heard).contains(goAway), "it is told why")
      // Others are served.
      _ = try await pair.channel.unary(TestService.emptyCall, Empty())
    }
  }
}
