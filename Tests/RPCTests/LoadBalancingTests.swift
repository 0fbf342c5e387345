// Which of several servers a call goes to, and how calls go on when servers stop and come back.
import InteropMessages
import RPC
import Synchronization
import Testing

@Suite("Load balancing", .timeLimit(.minutes(2)))
struct LoadBalancingTests {
  @Test("pick-first tries the next address when the first refuses")
  func nextAddress() async throws {
    let refusing = try await closedPort()
    try await Cluster.with(1) { cluster async throws in
      let channel = ClientChannel(.addresses([.host("127.0.0.1", refusing), cluster.address(0)]))
      // Without wait-for-ready: one address that answers is enough.
      let answer = try await channel.unary(Cluster.who, Empty())
      #expect(answer.body == [0])
      await channel.close()
    }
  }

  @Test("when all addresses refuse, the error names one of them and why")
  func allRefuse() async throws {
    let ports = [try await closedPort(), try await closedPort()]
    for policy in [LoadBalancing.pickFirst, .roundRobin, .leastRequest] {
      var configuration = ClientConfiguration()
      configuration.loadBalancing = policy
      let channel = ClientChannel(
        .addresses(ports.map { .host("127.0.0.1", $0) }), configuration: configuration)
      let error = await failure { () async throws(RPCError) in try await channel.unary(Cluster.who, Empty()) }
      #expect(error?.code == .unavailable)
      #expect(error?.message.hasPrefix("cannot connect to 127.0.0.1:") == true)
      #expect(error?.message.hasSuffix(": connection refused") == true)
      await channel.close()
    }
  }

  @Test("pick-first stays with the first server until it is lost")
  func pickFirst() async throws {
    try await Cluster.with(2) { cluster async throws in
      let channel = cluster.channel(.pickFirst)
      for _ in 0..<10 { #expect(try await channel.who() == 0) }
      #expect(cluster.servers[1].openConnections == 0, "no connection without a need")
      await cluster.servers[0].shutdown(grace: .seconds(10))
      for _ in 0..<10 { #expect(try await channel.who() == 1) }
      await channel.close()
    }
  }

  @Test("round-robin gives each server its share, goes on without one that stops, and finds it again")
  func roundRobin() async throws {
    try await Cluster.with(3) { cluster async throws in
      let channel = cluster.channel(.roundRobin)
      #expect(try await channel.reaches([0, 1, 2]))
      var calls = [0, 0, 0]
      for _ in 0..<30 { calls[try await channel.who()] += 1 }
      #expect(calls == [10, 10, 10])
      await cluster.servers[1].shutdown(grace: .seconds(10))
      // Not one call is lost to the server that has gone.
      #expect(try await channel.reaches([0, 2]))
      let again = try await cluster.restart(1)
      #expect(try await channel.reaches([0, 1, 2]))
      await channel.close()
      await again.shutdown(grace: .zero)
    }
  }

  @Test("round-robin does not wait for an address that does not answer")
  func unansweredAddress() async throws {
    try await Cluster.with(1) { cluster async throws in
      var configuration = ClientConfiguration()
      configuration.loadBalancing = .roundRobin
      configuration.connectTimeout = .seconds(30)
      let clock = ContinuousClock()
      let began = clock.now
      try await FullBacklog.with { silent async throws in
        let channel = ClientChannel(.addresses([silent, cluster.address(0)]), configuration: configuration)
        #expect(try await channel.who() == 0)
        #expect(clock.now - began < .seconds(10))
        await channel.close()
      }
    }
  }

  /// Chance that compares the first server with the last, or the last with the first, in every choice.
  private static func firstWithLast() -> @Sendable () -> Double {
    let turn = Mutex(0)
    return {
      turn.withLock { turn in
        turn += 1
        return turn % 2 == 1 ? 0 : 0.99
      }
    }
  }

  @Test("least-request takes the server with fewer calls under way")
  func leastRequest() async throws {
    try await Cluster.with(2) { cluster async throws in
      let channel = cluster.channel(.leastRequest, random: Self.firstWithLast())
      let held = Task { try await channel.unary(Cluster.wait, Empty()) }
      let busy = try #require(await cluster.waiting.until { !$0.isEmpty }.first)
      #expect(try await channel.reaches([1 - busy]))
      let both = Task { try await channel.unary(Cluster.wait, Empty()) }
      #expect(await cluster.waiting.until { $0.count == 2 } == [busy, 1 - busy])
      cluster.gate.open()
      _ = try await (held.value, both.value)
      await channel.close()
    }
  }

  @Test("least-request finds a server again that was lost")
  func leastRequestAgain() async throws {
    try await Cluster.with(2) { cluster async throws in
      let channel = cluster.channel(.leastRequest, random: Self.firstWithLast())
      let held = Task { try await channel.unary(Cluster.wait, Empty()) }
      let busy = try #require(await cluster.waiting.until { !$0.isEmpty }.first)
      #expect(try await channel.reaches([1 - busy]))
      await cluster.servers[1 - busy].shutdown(grace: .seconds(10))
      #expect(try await channel.reaches([busy]))
      let again = try await cluster.restart(1 - busy)
      #expect(try await channel.reaches([1 - busy], within: .seconds(5)))
      cluster.gate.open()
      _ = try await held.value
      await channel.close()
      await again.shutdown(grace: .zero)
    }
  }

  @Test("the service config's policy counts before the configuration's")
  func configured() async throws {
    try await Cluster.with(2) { cluster async throws in
      var configuration = ClientConfiguration()
      configuration.serviceConfig = try ServiceConfig(json: #"{"loadBalancingConfig": [{"round_robin": {}}]}"#)
      let channel = ClientChannel(.addresses(cluster.addresses), configuration: configuration)
      #expect(try await channel.reaches([0, 1]))
      await channel.close()
    }
  }

  @Test("a closed channel says so")
  func closed() async throws {
    try await Cluster.with(1) { cluster async throws in
      let channel = cluster.channel(.pickFirst)
      #expect(try await channel.who() == 0)
      await channel.close()
      let error = await failure { () async throws(RPCError) in
        try await channel.unary(Cluster.who, Empty(), CallOptions(waitForReady: true))
      }
      #expect(error?.code == .unavailable)
      #expect(error?.message.contains("is closed") == true)
    }
  }
}
