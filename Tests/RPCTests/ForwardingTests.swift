// Calls through two hops, a forwarding server between client and server: what is passed on and what is not.
import InteropMessages
@testable import RPC
import Testing

@Suite("Calls over hops", .timeLimit(.minutes(2)))
struct ForwardingTests {
  private static let name = "test.Far"
  private static let wait = UnaryMethod<Empty, Empty>(name, "Wait")
  private static let talk = BidirectionalMethod<Payload, Payload>(name, "Talk")
  private static let say = UnaryMethod<Empty, Empty>(name, "Say")

  /// A server behind another that passes its service on.
  private func withHops<R>(
    _ register: (inout Router) -> Void, _ body: (ClientChannel) async throws -> R
  ) async throws -> R {
    try await Pair.with(register) { far in
      try await Pair.with { $0.forward(service: Self.name, to: far.channel) } _: { near in
        try await body(near.channel)
      }
    }
  }

  @Test("a caller that goes away cancels the handler two hops off")
  func cancellation() async throws {
    let events = Log<String>()
    try await withHops { router in
      router.handle(Self.wait) { (_: Empty, _: CallContext) async throws(RPCError) -> Empty in
        events.add("began")
        await Gate().wait()
        events.add(Task.isCancelled ? "cancelled" : "not cancelled")
        return Empty()
      }
    } _: { channel in
      let call = Task { try await channel.unary(Self.wait, Empty()) }
      await events.until("began")
      call.cancel()
      #expect(await events.until { $0.count == 2 } == ["began", "cancelled"])
    }
  }

  @Test("a handler two hops off that ends the call in the middle ends it for the caller")
  func endedByServer() async throws {
    try await withHops { router in
      router.handle(Self.talk) {
        (requests: RequestStream<Payload>, _: CallContext, responses: ResponseWriter<Payload>) async throws(RPCError) in
        let iterator = requests.makeAsyncIterator()
        if let request = try await iterator.next() { try await responses.send(request) }
        throw RPCError(.failedPrecondition, "enough")
      }
    } _: { channel in
      let (writer, stream) = try await channel.bidirectional(Self.talk)
      let iterator = stream.makeAsyncIterator()
      try await writer.send(.with(body: [1, 2]))
      #expect(try await iterator.next()?.body == [1, 2])
      let error = await failure { () async throws(RPCError) in try await iterator.next() }
      #expect(error?.code == .failedPrecondition)
      #expect(error?.message == "enough")
    }
  }

  @Test("each hop passes on what is left of the deadline")
  func deadline() async throws {
    let left = Log<Duration?>()
    try await withHops { router in
      router.handle(Self.say) { (_: Empty, context: CallContext) async throws(RPCError) -> Empty in
        left.add(context.deadline?.remaining)
        return Empty()
      }
      router.handle(Self.wait) { (_: Empty, _: CallContext) async throws(RPCError) -> Empty in
        await Gate().wait()
        left.add(nil)
        return Empty()
      }
    } _: { channel in
      let deadline = Deadline.after(.seconds(100))
      _ = try await channel.unary(Self.say, Empty(), CallOptions(deadline: deadline))
      let remaining = try #require(left.entries.first ?? nil)
      #expect(remaining < .seconds(100))
      #expect(remaining > .seconds(40))
      let late = await failure { () async throws(RPCError) in
        try await channel.unary(Self.wait, Empty(), .timeout(.milliseconds(200)))
      }
      #expect(late?.code == .deadlineExceeded)
      await left.until { $0.count == 2 }
    }
  }

  @Test("metadata passes both ways, text and bytes, with OK")
  func metadata() async throws {
    let seen = Log<Metadata>()
    try await withHops { router in
      router.handle(Self.say) { (_: Empty, context: CallContext) async throws(RPCError) -> Empty in
        seen.add(context.metadata)
        context.setInitialMetadata("x-first", "word")
        context.setInitialMetadata("x-first-bin", "AAECAw")
        context.setTrailer("x-last", "word")
        context.setTrailer("x-last-bin", "/wA")
        return Empty()
      }
    } _: { channel in
      var metadata = Metadata([("traceparent", "00-1-2-01"), ("x-twice", "a"), ("x-twice", "b")])
      metadata.add("x-bytes-bin", bytes: [0, 255, 44, 10])
      let answer = try await channel.unaryResponse(Self.say, Empty(), CallOptions(metadata: metadata))
      let arrived = try #require(seen.entries.first)
      #expect(arrived["traceparent"] == "00-1-2-01")
      #expect(arrived.all("x-twice") == ["a", "b"])
      #expect(arrived.bytes("x-bytes-bin") == [0, 255, 44, 10])
      #expect(answer.initialMetadata["x-first"] == "word")
      #expect(answer.initialMetadata.bytes("x-first-bin") == [0, 1, 2, 3])
      #expect(answer.trailingMetadata["x-last"] == "word")
      #expect(answer.trailingMetadata.bytes("x-last-bin") == [255, 0])
    }
  }

  @Test("an error passes with its details, its metadata and its word on retries", arguments: [250, -1] as [Int64])
  func error(_ pushback: Int64) async throws {
    try await withHops { router in
      router.handle(Self.say) { (_: Empty, context: CallContext) async throws(RPCError) -> Empty in
        context.setTrailer("x-last", "word")
        let info = ErrorInfo.with { $0.reason = "TOO_FAR" }
        var error = RPCError(
          .unavailable, "not here", details: [StatusDetail(info)], metadata: Metadata([("x-error", "own")]))
        error.retryPushback = .milliseconds(pushback)
        throw error
      }
    } _: { channel in
      let error = await failure { () async throws(RPCError) in try await channel.unary(Self.say, Empty()) }
      #expect(error?.code == .unavailable)
      #expect(error?.message == "not here")
      #expect(error?.detail(ErrorInfo.self)?.reason == "TOO_FAR")
      #expect(error?.metadata["x-last"] == "word")
      #expect(error?.metadata["x-error"] == "own")
      #expect(error?.retryPushback == (pushback < 0 ? nil : .milliseconds(pushback)))
      #expect(error?.forbidsRetry == (pushback < 0))
    }
  }

  @Test("a server behind that cannot be reached is told as such")
  func unreachable() async throws {
    let port = try await closedPort()
    let far = ClientChannel(host: "127.0.0.1", port: port)
    try await Pair.with { $0.forward(service: Self.name, to: far) } _: { near in
      let error = await failure { () async throws(RPCError) in try await near.channel.unary(Self.say, Empty()) }
      #expect(error?.code == .unavailable)
      #expect(error?.message.contains("127.0.0.1:\(port)") == true)
    }
    await far.close()
  }
}
