// Retries (gRFC A6): which attempts are made again, how often, and what the server is told of it.
import HTTP2
import InteropMessages
import NIOCore
@testable import RPC
import Synchronization
import Testing

@Suite("Retries", .timeLimit(.minutes(2)))
struct RetryTests {
  private func policy(
    _ attempts: Int = 3, backoff: Duration = .milliseconds(5), codes: Set<StatusCode> = [.unavailable]
  ) -> ServiceConfig.MethodConfig {
    ServiceConfig.MethodConfig(
      names: ["test.Flaky/"],
      retry: ServiceConfig.RetryPolicy(maxAttempts: attempts, initialBackoff: backoff, retryableStatusCodes: codes))
  }

  @Test("a retryable failure is tried again, and the server is told how often it was")
  func retried() async throws {
    try await Flaky.with(policy(4)) { (number, _) async throws(RPCError) in
      if number < 3 { throw RPCError(.unavailable, "not yet") }
      return [7]
    } _: { flaky, channel in
      let answer = try await channel.unary(Flaky.call, Empty())
      #expect(answer.body == [7])
      #expect(flaky.attempts.entries == [nil, "1", "2"])
    }
  }

  @Test("the last attempt's error is the call's", arguments: [2, 4, 5, 9])
  func mostAttempts(_ most: Int) async throws {
    try await Flaky.with(policy(most)) { (number, _) async throws(RPCError) in
      throw RPCError(.unavailable, "attempt \(number)")
    } _: { flaky, channel in
      let error = await failure { () async throws(RPCError) in try await channel.unary(Flaky.call, Empty()) }
      #expect(error?.message == "attempt \(min(most, 5))")
      #expect(flaky.attempts.entries.count == min(most, 5))
    }
  }

  @Test("what is not retryable, and what has no policy, is not tried again")
  func notRetryable() async throws {
    try await Flaky.with(policy()) { (_, _) async throws(RPCError) in
      throw RPCError(.aborted, "no")
    } _: { flaky, channel in
      let error = await failure { () async throws(RPCError) in try await channel.unary(Flaky.call, Empty()) }
      #expect(error?.code == .aborted)
      #expect(flaky.attempts.entries.count == 1)
    }
    try await Flaky.with(ServiceConfig.MethodConfig(names: ["other.Service/"])) { (_, _) async throws(RPCError) in
      throw RPCError(.unavailable, "no")
    } _: { flaky, channel in
      _ = await failure { () async throws(RPCError) in try await channel.unary(Flaky.call, Empty()) }
      #expect(flaky.attempts.entries.count == 1)
    }
  }

  @Test("the server's pushback counts instead of the backoff")
  func pushback() async throws {
    let clock = ContinuousClock()
    let began = clock.now
    try await Flaky.with(policy(backoff: .seconds(1000)), random: { 0.9 }) { (number, _) async throws(RPCError) in
      if number > 1 { return [1] }
      var error = RPCError(.unavailable, "in a moment")
      error.retryPushback = .milliseconds(120)
      throw error
    } _: { flaky, channel in
      let answer = try await channel.unary(Flaky.call, Empty())
      #expect(answer.body == [1])
      #expect(flaky.attempts.entries.count == 2)
      #expect(clock.now - began >= .milliseconds(120))
    }
  }

  @Test("a negative pushback forbids the retry")
  func negativePushback() async throws {
    try await Flaky.with(policy()) { (_, _) async throws(RPCError) in
      var error = RPCError(.unavailable, "never")
      error.retryPushback = .milliseconds(-1)
      throw error
    } _: { flaky, channel in
      let error = await failure { () async throws(RPCError) in try await channel.unary(Flaky.call, Empty()) }
      #expect(error?.forbidsRetry == true)
      #expect(flaky.attempts.entries.count == 1)
    }
  }

  @Test("an attempt that the server has begun to answer is not made again")
  func committed() async throws {
    let method = ServerStreamingMethod<Empty, Payload>("test.Flaky", "Begin")
    let attempts = Log<Int>()
    var configuration = ClientConfiguration()
    configuration.serviceConfig.methods = [policy()]
    try await Pair.with(client: configuration) { router in
      router.handle(method) { (_: Empty, _: CallContext, responses: ResponseWriter<Payload>) async throws(RPCError) in
        attempts.add(1)
        try await responses.send(.with(body: [1]))
        throw RPCError(.unavailable, "after the first message")
      }
    } _: { pair in
      let stream = try await pair.channel.serverStreaming(method, Empty())
      let iterator = stream.makeAsyncIterator()
      #expect(try await iterator.next()?.body == [1])
      let error = await failure { () async throws(RPCError) in try await iterator.next() }
      #expect(error?.message == "after the first message")
      #expect(attempts.entries.count == 1)
    }
  }

  @Test("a stream of answers is tried again while none has begun")
  func streaming() async throws {
    try await Flaky.with(policy()) { (number, _) async throws(RPCError) in
      if number == 1 { throw RPCError(.unavailable, "not yet") }
      return [1, 2, 3]
    } _: { flaky, channel in
      var bytes: [UInt8] = []
      for try await message in try await channel.serverStreaming(Flaky.list, Empty()) { bytes += message.body }
      #expect(bytes == [1, 2, 3])
      #expect(flaky.attempts.entries == [nil, "1"])
    }
  }

  @Test("a stream of requests is sent anew with each attempt; what its sender throws is not tried again")
  func clientStreaming() async throws {
    try await Flaky.with(policy()) { (number, _) async throws(RPCError) in
      if number == 1 { throw RPCError(.unavailable, "not yet") }
      return [9]
    } _: { flaky, channel in
      let answer = try await channel.clientStreaming(Flaky.collect) { (writer) async throws(RPCError) in
        for byte in [1, 2] as [UInt8] { try await writer.send(.with(body: [byte])) }
      }
      #expect(answer.body == [1, 2, 9])
      #expect(flaky.attempts.entries == [nil, "1"])
      let runs = Log<Int>()
      let error = await failure { () async throws(RPCError) in
        try await channel.clientStreaming(Flaky.collect) { (_) async throws(RPCError) in
          runs.add(1)
          throw RPCError(.unavailable, "the sender's own")
        }
      }
      #expect(error?.message == "the sender's own")
      #expect(runs.entries.count == 1)
    }
  }

  @Test("when too many calls fail there are no retries, until calls succeed again")
  func throttled() async throws {
    let fails = Atomic(true)
    // 4 tokens, half of which must be left after a failure; two successes make up for one failure.
    let throttling = ServiceConfig.RetryThrottling(maxTokens: 4, tokenRatio: 0.5)
    try await Flaky.with(policy(5), throttling: throttling) { (_, _) async throws(RPCError) in
      if fails.load(ordering: .relaxed) { throw RPCError(.unavailable, "down") }
      return []
    } _: { flaky, channel in
      func attempts() async -> Int {
        let before = flaky.attempts.entries.count
        _ = await failure { () async throws(RPCError) in try await channel.unary(Flaky.call, Empty()) }
        return flaky.attempts.entries.count - before
      }
      #expect(await attempts() == 2, "4 tokens, 3, 2")
      #expect(await attempts() == 1, "1 token")
      fails.store(false, ordering: .relaxed)
      for _ in 0..<6 { #expect(await attempts() == 1) }
      fails.store(true, ordering: .relaxed)
      #expect(await attempts() == 2, "4 tokens, 3, 2")
    }
  }

  @Test("a retry that could not begin before the deadline is not waited for")
  func deadline() async throws {
    try await Flaky.with(policy(backoff: .seconds(1000)), random: { 0.9 }) { (_, _) async throws(RPCError) in
      throw RPCError(.unavailable, "down")
    } _: { flaky, channel in
      let error = await failure { () async throws(RPCError) in
        try await channel.unary(Flaky.call, Empty(), .timeout(.seconds(60)))
      }
      #expect(error?.message == "down", "the error that there is says more than a deadline")
      #expect(flaky.attempts.entries.count == 1)
    }
  }

  @Test("a call may be cancelled while it waits for its next attempt")
  func cancelledBetween() async throws {
    try await Flaky.with(policy(backoff: .seconds(1000)), random: { 0.9 }) { (_, _) async throws(RPCError) in
      throw RPCError(.unavailable, "down")
    } _: { flaky, channel in
      let call = Task { try await channel.unary(Flaky.call, Empty()) }
      await flaky.attempts.until { !$0.isEmpty }
      call.cancel()
      let error = await #expect(throws: RPCError.self) { _ = try await call.value }
      #expect(error?.code == .cancelled)
    }
  }

  // MARK: What no server has processed

  @Test("a request that a server refuses unprocessed is sent again without any policy")
  func refusedStream() async throws {
    try await PlainServer.with { (number, _, stream, _) in
      if number <= 2 { stream.reset(.refusedStream) } else { stream.respondOK() }
    } _: { server, channel in
      _ = try await channel.unary(TestService.emptyCall, Empty())
      #expect(server.count == 3)
    }
  }

  @Test("a server that refuses for ever is not asked for ever")
  func alwaysRefused() async throws {
    try await PlainServer.with { (_, _, stream, _) in stream.reset(.refusedStream) } _: { server, channel in
      let error = await failure { () async throws(RPCError) in
        try await channel.unary(TestService.emptyCall, Empty())
      }
      #expect(error?.code == .unavailable)
      #expect(server.count == 3)
    }
  }

  /// GOAWAY: this server has processed no stream at all (RFC 9113 section 6.8).
  private static let goAway: [UInt8] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]

  @Test("a request that was on its way when the server said goodbye goes to the next connection")
  func goAway() async throws {
    let previous = Log<String?>()
    try await PlainServer.with { (number, connection, stream, headers) in
      previous.add(headers["grpc-previous-rpc-attempts"])
      if number > 1 { return stream.respondOK() }
      guard let channel = connection.channel else { return }
      channel.eventLoop.execute { channel.writeAndFlush(ByteBuffer(bytes: Self.goAway), promise: nil) }
    } _: { _, channel in
      _ = try await channel.unary(TestService.emptyCall, Empty())
      #expect(previous.entries == [nil, nil], "it is no retry in the server's eyes")
    }
  }

  @Test("a request whose connection broke is not sent again without a policy: it may have been processed")
  func lostConnection() async throws {
    try await PlainServer.with { (_, connection, _, _) in
      guard let channel = connection.channel else { return }
      channel.eventLoop.execute { channel.close(promise: nil) }
    } _: { server, channel in
      let error = await failure { () async throws(RPCError) in
        try await channel.unary(TestService.emptyCall, Empty())
      }
      #expect(error?.code == .unavailable)
      #expect(server.count == 1)
    }
  }
}
