// Our client against our server over a real socket: the four kinds of call, metadata, statuses, deadlines and
// cancellation.
import InteropMessages
import RPC
import Synchronization
import Testing

@Suite("Calls from our client to our server", .timeLimit(.minutes(3)))
struct CallTests {
  @Test("a unary call carries large messages both ways")
  func largeUnary() async throws {
    try await Pair.with { pair in
      let request = SimpleRequest.with {
        $0.responseSize = 314_159
        $0.payload = .with { $0.body = [UInt8](repeating: 7, count: 271_828) }
      }
      let response = try await pair.channel.unary(TestService.unaryCall, request, .timeout(.seconds(10)))
      #expect(response.payload?.body.count == 314_159)
    }
  }

  @Test("a server stream arrives whole and in order")
  func serverStreaming() async throws {
    try await Pair.with { pair in
      let sizes: [Int32] = [31415, 9, 2653, 58979, 0]
      var got: [Int32] = []
      let stream = try await pair.channel.serverStreaming(TestService.streamingOutputCall, responses(sizes))
      for try await response in stream { got.append(Int32(response.payload?.body.count ?? -1)) }
      #expect(got == sizes)
    }
  }

  @Test("a client stream is counted to its end")
  func clientStreaming() async throws {
    try await Pair.with { pair in
      let response = try await pair.channel.clientStreaming(TestService.streamingInputCall) { writer throws(RPCError) in
        for size in [27182, 8, 1828, 45904] {
          try await writer.send(.with { $0.payload = .with { $0.body = [UInt8](repeating: 0, count: size) } })
        }
      }
      #expect(response.aggregatedPayloadSize == 74922)
    }
  }

  @Test("both sides of a bidirectional call speak in turn")
  func pingPong() async throws {
    try await Pair.with { pair in
      let (writer, stream) = try await pair.channel.bidirectional(TestService.fullDuplexCall)
      let iterator = stream.makeAsyncIterator()
      for size in [31415, 9, 2653, 58979] as [Int32] {
        try await writer.send(responses([size]))
        let response = try await iterator.next()
        #expect(response?.payload?.body.count == Int(size))
      }
      writer.finish()
      #expect(try await iterator.next() == nil)
    }
  }

  @Test("a status keeps its code and every character of its message")
  func statusMessage() async throws {
    try await Pair.with { pair in
      let text = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈 and 100%\t\n"
      let error = await #expect(throws: RPCError.self) {
        _ = try await pair.channel.unary(
          TestService.unaryCall,
          .with {
            $0.responseStatus = .with {
              $0.code = 9
              $0.message = text
            }
          })
      }
      #expect(error?.code == .failedPrecondition)
      #expect(error?.message == text)
      #expect(error?.fromPeer == true)
    }
  }

  @Test("typed details of a status arrive")
  func statusDetails() async throws {
    let method = UnaryMethod<Empty, Empty>("test.Details", "Fail")
    let detail = EchoStatus.with {
      $0.code = 42
      $0.message = "näher besehen"
    }
    try await Pair.with { router in
      router.handle(method) { (_: Empty, _: CallContext) async throws(RPCError) -> Empty in
        throw RPCError(.aborted, "see the details", details: [StatusDetail(detail)])
      }
    } _: { pair in
      let error = await #expect(throws: RPCError.self) { _ = try await pair.channel.unary(method, Empty()) }
      #expect(error?.code == .aborted)
      #expect(error?.details.first?.decoded(as: EchoStatus.self) == detail)
      #expect(error?.details.first?.decoded(as: Payload.self) == nil)
    }
  }

  @Test("an unknown method and an unknown service are told apart")
  func unimplemented() async throws {
    try await Pair.with { pair in
      let method = await #expect(throws: RPCError.self) {
        _ = try await pair.channel.unary(TestService.unimplementedCall, Empty())
      }
      #expect(method?.code == .unimplemented)
      #expect(method?.message.contains("no method") == true)
      let service = await #expect(throws: RPCError.self) {
        _ = try await pair.channel.unary(UnaryMethod<Empty, Empty>("grpc.testing.Nothing", "Call"), Empty())
      }
      #expect(service?.code == .unimplemented)
      #expect(service?.message.contains("no service") == true)
    }
  }

  @Test("a deadline ends a call on both sides")
  func deadline() async throws {
    let method = UnaryMethod<Empty, Empty>("test.Slow", "Wait")
    let (ended, continuation) = AsyncStream.makeStream(of: Bool.self)
    try await Pair.with { router in
      router.handle(method) { (_: Empty, context: CallContext) async throws(RPCError) -> Empty in
        let isBounded = context.deadline.map { $0.remaining <= .seconds(2) } ?? false
        do { try await Task.sleep(for: .seconds(60)) } catch { continuation.yield(isBounded) }
        return Empty()
      }
    } _: { pair in
      // The connection is there, so the two seconds are the handler's.
      _ = try await pair.channel.unary(TestService.emptyCall, Empty())
      let error = await #expect(throws: RPCError.self) {
        _ = try await pair.channel.unary(method, Empty(), .timeout(.seconds(2)))
      }
      #expect(error?.code == .deadlineExceeded)
      var iterator = ended.makeAsyncIterator()
      #expect(await iterator.next() == true, "the handler saw the deadline and was cancelled")
    }
  }

  @Test("cancelling the caller's task cancels the handler")
  func cancellation() async throws {
    let method = UnaryMethod<Empty, Empty>("test.Slow", "Wait")
    let (events, continuation) = AsyncStream.makeStream(of: String.self)
    try await Pair.with { router in
      router.handle(method) { (_: Empty, _: CallContext) async throws(RPCError) -> Empty in
        continuation.yield("began")
        do { try await Task.sleep(for: .seconds(60)) } catch { continuation.yield("cancelled") }
        return Empty()
      }
    } _: { pair in
      var iterator = events.makeAsyncIterator()
      let call = Task { try await pair.channel.unary(method, Empty()) }
      #expect(await iterator.next() == "began")
      call.cancel()
      #expect(await iterator.next() == "cancelled")
      let error = await #expect(throws: RPCError.self) { _ = try await call.value }
      #expect(error?.code == .cancelled)
    }
  }

  @Test("letting go of a response stream cancels the call")
  func abandonedStream() async throws {
    let method = ServerStreamingMethod<Empty, Empty>("test.Endless", "Watch")
    let (events, continuation) = AsyncStream.makeStream(of: String.self)
    try await Pair.with { router in
      router.handle(method) { (_: Empty, _: CallContext, writer: ResponseWriter<Empty>) async throws(RPCError) in
        try await writer.send(Empty())
        do { try await Task.sleep(for: .seconds(60)) } catch { continuation.yield("cancelled") }
      }
    } _: { pair in
      do {
        let stream = try await pair.channel.serverStreaming(method, Empty())
        let iterator = stream.makeAsyncIterator()
        #expect(try await iterator.next() != nil)
      }
      var iterator = events.makeAsyncIterator()
      #expect(await iterator.next() == "cancelled")
    }
  }

  @Test("metadata travels both ways, text and binary")
  func metadata() async throws {
    let method = UnaryMethod<Empty, Empty>("test.Metadata", "Echo")
    let seen = Mutex<Metadata?>(nil)
    try await Pair.with { router in
      router.handle(method) { (_: Empty, context: CallContext) async throws(RPCError) -> Empty in
        seen.withLock { $0 = context.metadata }
        context.setTrailer("x-left", "behind")
        throw RPCError(.outOfRange, "with metadata")
      }
    } _: { pair in
      var metadata = Metadata([("x-text", "plain words")])
      metadata.add("x-bytes-bin", bytes: [0, 255, 10, 13])
      let error = await #expect(throws: RPCError.self) {
        _ = try await pair.channel.unary(method, Empty(), CallOptions(metadata: metadata))
      }
      let arrived = seen.withLock { $0 }
      #expect(arrived?["x-text"] == "plain words")
      #expect(arrived?.bytes("x-bytes-bin") == [0, 255, 10, 13])
      #expect(error?.metadata["x-left"] == "behind")
    }
  }

  @Test("interceptors wrap calls, the first outermost, and can refuse them")
  func interceptors() async throws {
    let order = Mutex<[String]>([])
    let outer = ServerInterceptor { (context, next) async throws(RPCError) in
      order.withLock { $0.append("outer in") }
      if context.header("x-stop") != nil { throw RPCError(.permissionDenied, "stopped at the door") }
      try await next(context)
      order.withLock { $0.append("outer out") }
    }
    let inner = ServerInterceptor { (context, next) async throws(RPCError) in
      order.withLock { $0.append("inner in") }
      try await next(context)
      order.withLock { $0.append("inner out") }
    }
    try await Pair.with(interceptors: [outer, inner]) { pair in
      _ = try await pair.channel.unary(TestService.emptyCall, Empty())
      #expect(order.withLock { $0 } == ["outer in", "inner in", "inner out", "outer out"])
      let error = await #expect(throws: RPCError.self) {
        _ = try await pair.channel.unary(
          TestService.emptyCall, Empty(), CallOptions(metadata: Metadata([("x-stop", "1")])))
      }
      #expect(error?.code == .permissionDenied)
      #expect(order.withLock { $0 }.filter { $0 == "inner in" }.count == 1, "the refused call went no further")
    }
  }

  @Test("a thousand calls at once over one connection all come back")
  func manyAtOnce() async throws {
    try await Pair.with { pair in
      let total = try await withThrowingTaskGroup(of: Int.self) { group in
        for index in 0..<1000 {
          group.addTask {
            let response = try await pair.channel.unary(
              TestService.unaryCall, .with { $0.responseSize = Int32(index) })
            return response.payload?.body.count ?? 0
          }
        }
        return try await group.reduce(0, +)
      }
      #expect(total == (0..<1000).reduce(0, +))
    }
  }

  @Test("a message over the limit is refused with its size")
  func tooLarge() async throws {
    try await Pair.with { pair in
      let error = await #expect(throws: RPCError.self) {
        _ = try await pair.channel.unary(
          TestService.unaryCall, .with { $0.payload = .with { $0.body = [UInt8](repeating: 0, count: 5 << 20) } })
      }
      #expect(error?.code == .resourceExhausted)
      let answer = await #expect(throws: RPCError.self) {
        _ = try await pair.channel.unary(TestService.unaryCall, .with { $0.responseSize = 5 << 20 })
      }
      #expect(answer?.code == .resourceExhausted)
    }
  }
}
