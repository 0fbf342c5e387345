// Message compression ("Compression", grpc/grpc doc/compression.md): gzip both ways, and what is done about peers that
// lie about it.
import HTTP2
import InteropMessages
import NIOCore
@testable import RPC
import Testing

@Suite("Compression", .timeLimit(.minutes(2)))
struct CompressionTests {
  private let gzip = CallOptions(deadline: .after(.seconds(60)), compression: .gzip)

  private func isCompressed(_ value: Bool) -> BoolValue { .with { $0.value = value } }

  /// Compresses well, so that a compressed form is told by its size as well.
  private let body = [UInt8](repeating: 7, count: 100_000)

  // MARK: All four kinds

  @Test("a unary call is compressed both ways, and only as far as is asked")
  func unary() async throws {
    try await Pair.with { pair in
      for (request, response) in [(true, true), (true, false), (false, true), (false, false)] {
        let message = SimpleRequest.with {
          $0.expectCompressed = isCompressed(request)
          $0.responseCompressed = isCompressed(response)
          $0.responseSize = 100_000
          $0.payload = .with(body: body)
        }
        let options = request ? gzip : CallOptions()
        let answer = try await pair.channel.unaryResponse(TestService.unaryCall, message, options)
        #expect(answer.isCompressed == response)
        #expect(answer.message.payload?.body == [UInt8](repeating: 0, count: 100_000))
      }
    }
  }

  @Test("each message of a stream of requests is compressed or not")
  func clientStreaming() async throws {
    try await Pair.with { pair in
      let answer = try await pair.channel.clientStreaming(TestService.streamingInputCall, gzip) {
        (writer) async throws(RPCError) in
        for compress in [true, false, true, false, false] {
          let message = StreamingInputCallRequest.with {
            $0.payload = .with(body: body)
            $0.expectCompressed = isCompressed(compress)
          }
          try await writer.send(message, compress: compress)
        }
      }
      #expect(answer.aggregatedPayloadSize == 500_000)
    }
  }

  @Test("each message of a stream of responses is compressed or not")
  func serverStreaming() async throws {
    try await Pair.with { pair in
      let wanted = [true, false, true, true, false]
      let request = StreamingOutputCallRequest.with {
        $0.responseParameters = wanted.map { compress in
          .with {
            $0.size = 50_000
            $0.compressed = isCompressed(compress)
          }
        }
      }
      let stream = try await pair.channel.serverStreaming(TestService.streamingOutputCall, request, gzip)
      let iterator = stream.makeAsyncIterator()
      var seen: [Bool] = []
      while let message = try await iterator.next() {
        #expect(message.payload?.body.count == 50_000)
        seen.append(iterator.lastMessageWasCompressed)
      }
      #expect(seen == wanted)
    }
  }

  @Test("both directions of a bidirectional call are compressed")
  func bidirectional() async throws {
    let method = BidirectionalMethod<Payload, Payload>("test.Gzip", "Echo")
    let arrived = Log<Bool>()
    try await Pair.with { router in
      router.handle(method) {
        (
          requests: RequestStream<Payload>, context: CallContext, responses: ResponseWriter<Payload>
        ) async throws(RPCError) in
        context.setResponseCompression(.gzip)
        let iterator = requests.makeAsyncIterator()
        while let request = try await iterator.next() {
          arrived.add(iterator.lastMessageWasCompressed)
          try await responses.send(request)
        }
      }
    } _: { pair in
      let (writer, stream) = try await pair.channel.bidirectional(method, gzip)
      let iterator = stream.makeAsyncIterator()
      for size in [0, 1, 70_000] {
        let message = Payload.with(body: [UInt8](repeating: 3, count: size))
        try await writer.send(message)
        #expect(try await iterator.next() == message)
        #expect(iterator.lastMessageWasCompressed)
      }
      writer.finish()
      #expect(try await iterator.next() == nil)
      #expect(arrived.entries == [true, true, true])
    }
  }

  // MARK: What the other side takes

  private let wantsCompressed = SimpleRequest.with {
    $0.responseSize = 1000
    $0.responseCompressed = .with { $0.value = true }
  }

  @Test(
    "a caller gets compressed answers only if it takes gzip",
    arguments: [
      (nil, false), ("identity", false), ("identity,deflate", false), ("gzip", true), ("identity, deflate, gzip", true),
      ("identity,gzip ,br", true), ("xgzip,gzipx", false),
    ] as [(String?, Bool)])
  func accepted(_ accepts: String?, _ compressed: Bool) async throws {
    try await Pair.with { pair in
      let heard = try await PlainClient.call(
        pair.port, path: TestService.unaryCall.path, headers: accepts.map { [("grpc-accept-encoding", $0)] } ?? [],
        body: framed(wantsCompressed.encodedBytes()))
      #expect(heard.value("grpc-status") == "0")
      #expect(heard.headers.first?["grpc-encoding"] == (compressed ? "gzip" : nil))
      #expect(heard.body.first == (compressed ? 1 : 0))
      if !compressed { #expect(heard.body.count > 1000) }
    }
  }

  @Test("an encoding that is not known is refused with those that are")
  func unknownEncoding() async throws {
    try await Pair.with { pair in
      let heard = try await PlainClient.call(
        pair.port, path: TestService.unaryCall.path, headers: [("grpc-encoding", "snappy")],
        body: framed([1, 2, 3], isCompressed: true))
      #expect(heard.value("grpc-status") == "12")
      #expect(heard.value("grpc-accept-encoding") == "identity,gzip")
      #expect(heard.value("grpc-message")?.contains("snappy") == true)
    }
  }

  @Test("a server that compresses with what is not known here fails the call with its name")
  func unknownAnswer() async throws {
    try await PlainServer.with { (_, _, stream, _) in
      stream.respond([":status": "200", "content-type": "application/grpc", "grpc-encoding": "snappy"])
      stream.write(ByteBuffer(bytes: framed([1, 2, 3], isCompressed: true)))
      stream.finish(trailers: ["grpc-status": "0"])
    } _: { _, channel in
      let error = await failure { () async throws(RPCError) in
        try await channel.unary(TestService.emptyCall, Empty())
      }
      #expect(error?.code == .internal)
      #expect(error?.message.contains("snappy") == true)
    }
  }

  // MARK: Lies

  private func answer(
    _ body: [UInt8], encoding: String? = "gzip", server: ServerConfiguration = ServerConfiguration()
  ) async throws -> Heard {
    try await Pair.with(server: server) { pair in
      try await PlainClient.call(
        pair.port, path: TestService.unaryCall.path, headers: encoding.map { [("grpc-encoding", $0)] } ?? [],
        body: body)
    }
  }

  @Test("a message that inflates beyond the limit is refused by server and client")
  func bomb() async throws {
    let bomb = try Gzip.compress(ByteBuffer(repeating: 0, count: 64 << 20))
    #expect(bomb.readableBytes < 1 << 20)
    let heard = try await answer(framed(Array(bomb.readableBytesView), isCompressed: true))
    #expect(heard.value("grpc-status") == "8")
    try await Pair.with { pair in
      let request = SimpleRequest.with {
        $0.responseSize = 8 << 20
        $0.responseCompressed = isCompressed(true)
      }
      let error = await failure { () async throws(RPCError) in
        try await pair.channel.unary(TestService.unaryCall, request)
      }
      #expect(error?.code == .resourceExhausted)
      #expect(error?.message.contains("\(4 << 20)") == true)
    }
  }

  @Test("gzip that is cut off, damaged or none at all is INTERNAL")
  func damaged() async throws {
    let whole = Array(try Gzip.compress(ByteBuffer(bytes: wantsCompressed.encodedBytes())).readableBytesView)
    #expect(try await answer(framed(whole, isCompressed: true)).value("grpc-status") == "0")
    for damaged in [Array(whole.dropLast()), Array(whole.prefix(5)), [], [1, 2, 3], whole.map { $0 ^ 0x55 }] {
      let heard = try await answer(framed(damaged, isCompressed: true))
      #expect(heard.value("grpc-status") == "13", "\(damaged)")
    }
  }

  @Test(
    "a message that says it is compressed, in a call that names no encoding, is INTERNAL",
    arguments: [nil, "identity"])
  func undeclared(_ encoding: String?) async throws {
    let whole = Array(try Gzip.compress(ByteBuffer(bytes: wantsCompressed.encodedBytes())).readableBytesView)
    #expect(try await answer(framed(whole, isCompressed: true), encoding: encoding).value("grpc-status") == "13")
  }

  @Test("a message of exactly the limit inflates, one byte more does not", arguments: [0, 1, 4095, 4096, 4097, 1 << 20])
  func limit(_ size: Int) throws {
    let bytes = ByteBuffer(bytes: (0..<size).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 3) })
    let small = Array(try Gzip.compress(bytes).readableBytesView)
    let again = try small.withUnsafeBytes { try Gzip.decompress($0, limit: size) }
    #expect(again == bytes)
    guard size > 0 else { return }
    let error = #expect(throws: RPCError.self) {
      _ = try small.withUnsafeBytes { try Gzip.decompress($0, limit: size - 1) }
    }
    #expect(error?.code == .resourceExhausted)
  }
}
