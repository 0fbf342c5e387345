// Hedging (gRFC A6): several attempts of one call at a time.
import InteropMessages
import RPC
import Testing

@Suite("Hedging", .timeLimit(.minutes(2)))
struct HedgingTests {
  private func policy(
    _ attempts: Int = 3, delay: Duration = .seconds(1000), nonFatal: Set<StatusCode> = [.unavailable]
  ) -> ServiceConfig.MethodConfig {
    ServiceConfig.MethodConfig(
      names: ["test.Flaky/"],
      hedging: ServiceConfig.HedgingPolicy(maxAttempts: attempts, hedgingDelay: delay, nonFatalStatusCodes: nonFatal))
  }

  /// Waits until the attempt is cancelled.
  private static func forever() async { await Gate().wait() }

  @Test("when the first attempt is slow a second one wins, and the first is cancelled")
  func secondWins() async throws {
    try await Flaky.with(policy(delay: .milliseconds(20))) { (number, _) async throws(RPCError) in
      if number == 1 { await Self.forever() }
      return [UInt8(number)]
    } _: { flaky, channel in
      let answer = try await channel.unary(Flaky.call, Empty())
      #expect(answer.body != [1])
      await flaky.cancelled.until(1)
      #expect(flaky.attempts.entries.prefix(2) == [nil, "1"])
    }
  }

  @Test("a fast answer needs one attempt")
  func oneIsEnough() async throws {
    try await Flaky.with(policy()) { (_, _) async throws(RPCError) in [5] } _: { flaky, channel in
      let answer = try await channel.unary(Flaky.call, Empty())
      #expect(answer.body == [5])
      #expect(flaky.attempts.entries.count == 1)
    }
  }

  @Test("a non-fatal failure begins the next attempt at once; the last one's error is the call's")
  func nonFatal() async throws {
    try await Flaky.with(policy()) { (number, _) async throws(RPCError) in
      throw RPCError(.unavailable, "attempt \(number)")
    } _: { flaky, channel in
      let error = await failure { () async throws(RPCError) in try await channel.unary(Flaky.call, Empty()) }
      #expect(error?.message == "attempt 3")
      #expect(flaky.attempts.entries == [nil, "1", "2"])
    }
  }

  @Test("a fatal failure ends the call and the attempts that still run")
  func fatal() async throws {
    try await Flaky.with(policy(delay: .milliseconds(20))) { (number, _) async throws(RPCError) in
      if number == 1 { await Self.forever() }
      throw RPCError(.invalidArgument, "wrong for all attempts")
    } _: { flaky, channel in
      let error = await failure { () async throws(RPCError) in try await channel.unary(Flaky.call, Empty()) }
      #expect(error?.message == "wrong for all attempts")
      await flaky.cancelled.until(1)
      #expect(flaky.attempts.entries.count == 2)
    }
  }

  @Test("a negative pushback begins no more attempts, and those that run may still win")
  func forbidden() async throws {
    let goOn = Gate()
    try await Flaky.with(policy(delay: .milliseconds(20))) { (number, _) async throws(RPCError) in
      if number == 1 {
        await goOn.wait()
        return [1]
      }
      var error = RPCError(.unavailable, "no more")
      error.retryPushback = .milliseconds(-1)
      throw error
    } _: { flaky, channel in
      let call = Task { try await channel.unary(Flaky.call, Empty()) }
      await flaky.attempts.until { $0.count == 2 }
      goOn.open()
      let answer = try await call.value
      #expect(answer.body == [1])
      #expect(flaky.attempts.entries.count == 2)
    }
  }

  @Test("the next attempt begins no earlier than the server's pushback asks")
  func pushback() async throws {
    let clock = ContinuousClock()
    let began = clock.now
    try await Flaky.with(policy(2)) { (number, _) async throws(RPCError) in
      if number > 1 { return [2] }
      var error = RPCError(.unavailable, "in a moment")
      error.retryPushback = .milliseconds(150)
      throw error
    } _: { _, channel in
      let answer = try await channel.unary(Flaky.call, Empty())
      #expect(answer.body == [2])
      #expect(clock.now - began >= .milliseconds(150))
    }
  }

  @Test("throttling holds hedges back as well")
  func throttled() async throws {
    let throttling = ServiceConfig.RetryThrottling(maxTokens: 4, tokenRatio: 0.1)
    try await Flaky.with(policy(5), throttling: throttling) { (_, _) async throws(RPCError) in
      throw RPCError(.unavailable, "down")
    } _: { flaky, channel in
      _ = await failure { () async throws(RPCError) in try await channel.unary(Flaky.call, Empty()) }
      #expect(flaky.attempts.entries.count == 2, "4 tokens, 3, 2")
      _ = await failure { () async throws(RPCError) in try await channel.unary(Flaky.call, Empty()) }
      #expect(flaky.attempts.entries.count == 3)
    }
  }

  @Test("cancelling the call cancels all its attempts")
  func cancelled() async throws {
    try await Flaky.with(policy(2, delay: .milliseconds(5))) { (_, _) async throws(RPCError) in
      await Self.forever()
      return []
    } _: { flaky, channel in
      let call = Task { try await channel.unary(Flaky.call, Empty()) }
      await flaky.attempts.until { $0.count == 2 }
      call.cancel()
      let error = await #expect(throws: RPCError.self) { _ = try await call.value }
      #expect(error?.code == .cancelled)
      await flaky.cancelled.until { Set($0) == [1, 2] }
    }
  }

  @Test("streams are hedged until one has begun to answer, and that one is read to its end")
  func streaming() async throws {
    try await Flaky.with(policy(delay: .milliseconds(20))) { (number, _) async throws(RPCError) in
      if number == 1 { await Self.forever() }
      return [1, 2, 3]
    } _: { flaky, channel in
      var bytes: [UInt8] = []
      for try await message in try await channel.serverStreaming(Flaky.list, Empty()) { bytes += message.body }
      #expect(bytes == [1, 2, 3])
      await flaky.cancelled.until(1)
    }
  }
}
