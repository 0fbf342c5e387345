// Flow control end to end: a slow reader holds the sender back at a bounded distance, and nothing is lost or reordered.
import InteropMessages
import RPC
import Testing

@Suite("Flow", .timeLimit(.minutes(3)))
struct FlowTests {
  private static let down = ServerStreamingMethod<Empty, Payload>("test.Flow", "Down")
  private static let up = ClientStreamingMethod<Payload, Payload>("test.Flow", "Up")

  /// Small windows, so that few messages fill them.
  private let server: ServerConfiguration
  private let client: ClientConfiguration

  init() {
    var (server, client) = (ServerConfiguration(), ClientConfiguration())
    server.http2.streamWindow = 64 << 10
    client.http2.streamWindow = 64 << 10
    (self.server, self.client) = (server, client)
  }

  /// Messages that differ, so that order shows.
  private func message(_ number: Int, _ size: Int) -> Payload {
    .with(body: (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } + [UInt8](repeating: 1, count: size))
  }
  private func number(_ message: Payload) -> Int {
    message.body.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << ($1.offset * 8) }
  }

  /// Waits until a sender has come to rest: the count stands still while many other calls come and go.
  private func rest(_ channel: ClientChannel, _ count: () -> Int) async throws -> Int {
    var last = -1
    while true {
      let now = count()
      if now == last { return now }
      last = now
      for _ in 0..<100 { _ = try await channel.unary(TestService.emptyCall, Empty()) }
    }
  }

  @Test(
    "a server that sends to a slow reader comes to rest, and all arrives in order once it is read",
    arguments: [(100_000, 60, 20), (1_000, 4_000, 1_500), (0, 60_000, 30_000)])
  func slowClient(_ size: Int, _ total: Int, _ most: Int) async throws {
    let sent = Count()
    try await Pair.with(server: server, client: client) { router in
      router.handle(Self.down) { (_: Empty, _: CallContext, writer: ResponseWriter<Payload>) async throws(RPCError) in
        for number in 0..<total {
          try await writer.send(message(number, size))
          sent.add()
        }
      }
    } _: { pair in
      let stream = try await pair.channel.serverStreaming(Self.down, Empty())
      let atRest = try await rest(pair.channel) { sent.value }
      #expect(atRest <= most, "\(atRest) messages of \(size) bytes left unread")
      var expected = 0
      for try await next in stream {
        guard number(next) == expected else {
          Issue.record("message \(number(next)) came where \(expected) was due")
          return
        }
        expected += 1
      }
      #expect(expected == total)
    }
  }

  @Test(
    "a client that sends to a slow handler comes to rest, and all arrives in order once it is read",
    arguments: [(100_000, 60, 20), (1_000, 4_000, 1_500), (0, 60_000, 30_000)])
  func slowServer(_ size: Int, _ total: Int, _ most: Int) async throws {
    let gate = Gate()
    let count = Count()
    try await Pair.with(server: server, client: client) { router in
      router.handle(Self.up) { (requests: RequestStream<Payload>, _: CallContext) async throws(RPCError) -> Payload in
        await gate.wait()
        var expected = 0
        for try await next in requests {
          guard number(next) == expected else {
            throw RPCError(.dataLoss, "\(number(next)) came where \(expected) was due")
          }
          expected += 1
        }
        return message(expected, 0)
      }
    } _: { pair in
      let call = Task {
        try await pair.channel.clientStreaming(Self.up) { (writer) async throws(RPCError) in
          for number in 0..<total {
            try await writer.send(message(number, size))
            count.add()
          }
        }
      }
      let atRest = try await rest(pair.channel) { count.value }
      #expect(atRest <= most, "\(atRest) messages of \(size) bytes were taken unread")
      gate.open()
      #expect(number(try await call.value) == total)
    }
  }

  @Test("empty messages to a slow reader are bounded as well", arguments: [true, false])
  func emptyMessages(_ toServer: Bool) async throws {
    let gate = Gate()
    let count = Count()
    let total = 100_000
    try await Pair.with(server: server, client: client) { router in
      router.handle(Self.up) { (requests: RequestStream<Payload>, _: CallContext) async throws(RPCError) -> Payload in
        await gate.wait()
        return Payload()
      }
      router.handle(Self.down) { (_: Empty, _: CallContext, writer: ResponseWriter<Payload>) async throws(RPCError) in
        for _ in 0..<total {
          try await writer.send(Payload())
          count.add()
        }
      }
    } _: { pair in
      let task: Task<Void, any Error>
      if toServer {
        task = Task {
          _ = try await pair.channel.clientStreaming(Self.up) { (writer) async throws(RPCError) in
            for _ in 0..<total {
              try await writer.send(Payload())
              count.add()
            }
          }
        }
      } else {
        let stream = try await pair.channel.serverStreaming(Self.down, Empty())
        task = Task {
          await gate.wait()
          stream.cancel()
        }
      }
      let atRest = try await rest(pair.channel) { count.value }
      #expect(atRest < total / 2, "\(atRest) empty messages were taken unread")
      gate.open()
      task.cancel()
      _ = await task.result
    }
  }

  @Test("streams whose messages are held back end well, however their end and their reader meet")
  func endAndReader() async throws {
    // Just more than waits for a reader, so that the end comes while the last messages are held.
    let sizes: [Int32] = [70_000, 70_000, 70_000, 70_000, 70_000, 1, 1]
    try await Pair.with { pair in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<4 {
          group.addTask {
            for _ in 0..<250 {
              var count = 0
              for try await _ in try await pair.channel.serverStreaming(
                TestService.streamingOutputCall, responses(sizes))
              { count += 1 }
              #expect(count == sizes.count)
            }
          }
        }
        try await group.waitForAll()
      }
    }
  }

  @Test("requests that are held back end well when the handler reads on another thread")
  func endAndHandler() async throws {
    let sizes = [70_000, 70_000, 70_000, 70_000, 70_000, 1, 1]
    try await Pair.with { router in
      router.handle(Self.up) { (requests: RequestStream<Payload>, _: CallContext) async throws(RPCError) -> Payload in
        let reader = Task.detached { () throws(RPCError) -> Int in
          var count = 0
          for try await _ in requests { count += 1 }
          return count
        }
        do { return message(try await reader.value, 0) } catch {
          throw error as? RPCError ?? RPCError(.unknown, "\(error)")
        }
      }
    } _: { pair in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<4 {
          group.addTask {
            for _ in 0..<250 {
              let answer = try await pair.channel.clientStreaming(Self.up) { (writer) async throws(RPCError) in
                for size in sizes { try await writer.send(.with(body: [UInt8](repeating: 0, count: size))) }
              }
              #expect(number(answer) == sizes.count)
            }
          }
        }
        try await group.waitForAll()
      }
    }
  }

  @Test("a sender that waits for a slow peer is cancelled with its task", arguments: [true, false])
  func cancelledSender(_ isClientStreaming: Bool) async throws {
    let talk = BidirectionalMethod<Payload, Payload>("test.Flow", "Talk")
    let gate = Gate()
    let count = Count()
    try await Pair.with { router in
      router.handle(Self.up) { (_: RequestStream<Payload>, _: CallContext) async throws(RPCError) -> Payload in
        await gate.wait()
        return Payload()
      }
      router.handle(talk) {
        (_: RequestStream<Payload>, _: CallContext, _: ResponseWriter<Payload>) async throws(RPCError) in
        await gate.wait()
      }
    } _: { pair in
      let send: @Sendable (RequestWriter<Payload>) async throws(RPCError) -> Void = { (writer) async throws(RPCError) in
        while true {
          try await writer.send(message(0, 100_000))
          count.add()
        }
      }
      let bidirectional = isClientStreaming ? nil : try await pair.channel.bidirectional(talk)
      let call = Task { () async -> RPCError? in
        await failure { () async throws(RPCError) in
          if let (writer, _) = bidirectional { try await send(writer) } else {
            _ = try await pair.channel.clientStreaming(Self.up, CallOptions(), send)
          }
        }
      }
      _ = try await rest(pair.channel) { count.value }
      call.cancel()
      let ended = await within(.seconds(5)) { await call.value }
      #expect(ended??.code == .cancelled)
      gate.open()
    }
  }

  @Test("a sender whose call is over is told so and stops")
  func overCall() async throws {
    try await Pair.with { router in
      router.handle(Self.up) { (_: RequestStream<Payload>, _: CallContext) async throws(RPCError) -> Payload in
        throw RPCError(.permissionDenied, "no more of this")
      }
    } _: { pair in
      let error = await within(.seconds(20)) {
        await failure { () async throws(RPCError) in
          try await pair.channel.clientStreaming(Self.up) { (writer) async throws(RPCError) in
            while true { try await writer.send(message(0, 10_000)) }
          }
        }
      }
      #expect(error??.code == .permissionDenied, "the server's word, not the sender's")
    }
  }

  @Test("messages as large as the limit pass both ways")
  func largest() async throws {
    var server = ServerConfiguration()
    server.maxMessageSize = 20 << 20
    var client = ClientConfiguration()
    client.maxMessageSize = 20 << 20
    try await Pair.with(server: server, client: client) { pair in
      let size = 16 << 20
      let request = SimpleRequest.with {
        $0.responseSize = Int32(size)
        $0.payload = .with(body: [UInt8](repeating: 5, count: size))
      }
      let answer = try await pair.channel.unary(TestService.unaryCall, request)
      #expect(answer.payload?.body.count == size)
    }
  }
}
