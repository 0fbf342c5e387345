// How connections end in the course of things, by idleness, age and drain, and how many of them and of calls there may
// be.
import HTTP2
import InteropMessages
import RPC
import Testing

@Suite("The life of connections", .timeLimit(.minutes(2)))
struct ConnectionLifeTests {
  private static let wait = UnaryMethod<Empty, Empty>("test.Life", "Wait")
  private static let peer = UnaryMethod<Empty, Payload>("test.Life", "Peer")

  /// Methods of which one waits for the gate and one tells the caller's address.
  private func register(_ began: Log<String>, _ gate: Gate) -> (inout Router) -> Void {
    { router in
      router.handle(Self.wait) { (_: Empty, context: CallContext) async throws(RPCError) -> Empty in
        began.add(context.peer)
        await gate.wait()
        return Empty()
      }
      router.handle(Self.peer) { (_: Empty, context: CallContext) async throws(RPCError) -> Payload in
        .with(body: Array(context.peer.utf8))
      }
    }
  }

  private func peer(_ channel: ClientChannel) async throws -> String {
    String(decoding: try await channel.unary(Self.peer, Empty()).body, as: UTF8.self)
  }

  /// Calls until the connection is another one than this, without a failure.
  private func leaves(_ former: String, _ channel: ClientChannel) async throws {
    while try await peer(channel) == former { await Task.yield() }
  }

  @Test("a running call survives its connection's age, and new calls go to a new one without an error")
  func age() async throws {
    var configuration = ServerConfiguration()
    configuration.http2.maxAge = .milliseconds(150)
    configuration.http2.maxAgeGrace = .seconds(60)
    let (began, gate) = (Log<String>(), Gate())
    try await Pair.with(server: configuration, register(began, gate)) { pair in
      let running = Task { try await pair.channel.unary(Self.wait, Empty()) }
      let former = try #require(await began.until { !$0.isEmpty }.first)
      try await leaves(former, pair.channel)
      try await leaves(try await peer(pair.channel), pair.channel)
      gate.open()
      _ = try await running.value
    }
  }

  @Test("a call that outlives the grace after its connection's age ends with UNAVAILABLE")
  func grace() async throws {
    var configuration = ServerConfiguration()
    configuration.http2.maxAge = .milliseconds(50)
    configuration.http2.maxAgeGrace = .milliseconds(100)
    let (began, gate) = (Log<String>(), Gate())
    try await Pair.with(server: configuration, register(began, gate)) { pair in
      let error = await failure { () async throws(RPCError) in
        try await pair.channel.unary(Self.wait, Empty(), .timeout(.seconds(60)))
      }
      #expect(error?.code == .unavailable)
      gate.open()
    }
  }

  @Test("a connection without calls ends after its idle time, on the side that has one", arguments: [true, false])
  func idle(_ onServer: Bool) async throws {
    var server = ServerConfiguration()
    var client = ClientConfiguration()
    if onServer { server.http2.maxIdle = .milliseconds(100) } else { client.http2.maxIdle = .milliseconds(100) }
    let (began, gate) = (Log<String>(), Gate())
    try await Pair.with(server: server, client: client, register(began, gate)) { pair in
      let former = try await peer(pair.channel)
      while pair.server.openConnections > 0 { await Task.yield() }
      #expect(try await peer(pair.channel) != former, "the next call makes a new one")
    }
  }

  @Test("idle time counts from the end of the last call, not from its beginning")
  func idleAfterCall() async throws {
    var configuration = ServerConfiguration()
    configuration.http2.maxIdle = .milliseconds(300)
    let (began, gate) = (Log<String>(), Gate())
    try await Pair.with(server: configuration, register(began, gate)) { pair in
      let running = Task { try await pair.channel.unary(Self.wait, Empty()) }
      let former = try #require(await began.until { !$0.isEmpty }.first)
      // Longer than the idle time: the call is what keeps the connection.
      try await Task.sleep(for: .milliseconds(700))
      gate.open()
      _ = try await running.value
      for _ in 0..<5 { #expect(try await peer(pair.channel) == former, "calls in quick succession leave no idle time") }
    }
  }

  @Test("shutdown loses none of many running calls")
  func drain() async throws {
    let (began, gate) = (Log<String>(), Gate())
    let calls = 200
    try await Pair.with(register(began, gate)) { pair in
      let ended = Log<Bool>()
      for _ in 0..<calls {
        Task {
          let error = await failure { () async throws(RPCError) in try await pair.channel.unary(Self.wait, Empty()) }
          ended.add(error == nil)
        }
      }
      await began.until { $0.count == calls }
      #expect(pair.server.runningCalls == calls)
      let stopping = Task { await pair.server.shutdown(grace: .seconds(60)) }
      // It has stopped listening, and the calls go on.
      while true {
        let other = ClientChannel(host: "127.0.0.1", port: pair.port)
        let error = await failure { () async throws(RPCError) in try await other.unary(Self.peer, Empty()) }
        await other.close()
        if error?.message.hasSuffix("connection refused") == true { break }
      }
      #expect(ended.entries.isEmpty)
      gate.open()
      #expect(await ended.until { $0.count == calls } == [Bool](repeating: true, count: calls))
      await stopping.value
      #expect(pair.server.runningCalls == 0)
      #expect(pair.server.openConnections == 0)
    }
  }

  @Test("calls that keep coming while a server stops are answered by it or refused, never lost")
  func drainUnderLoad() async throws {
    var configuration = ClientConfiguration()
    configuration.initialBackoff = .milliseconds(5)
    for _ in 0..<5 {
      try await Cluster.with(2) { cluster in
        let channel = cluster.channel(.roundRobin)
        #expect(try await channel.reaches([0, 1]))
        let stopped = Count()
        try await withThrowingTaskGroup(of: Void.self) { group in
          for _ in 0..<16 {
            group.addTask {
              // Without wait-for-ready or retries: no call may notice.
              while stopped.value == 0 { _ = try await channel.unary(Cluster.who, Empty()) }
            }
          }
          await cluster.servers[1].shutdown(grace: .seconds(20))
          stopped.add()
          try await group.waitForAll()
        }
        await channel.close()
      }
    }
  }

  @Test("when the grace of a shutdown is over, what still runs is ended")
  func graceOfShutdown() async throws {
    let (began, gate) = (Log<String>(), Gate())
    try await Pair.with(register(began, gate)) { pair in
      let running = Task { try await pair.channel.unary(Self.wait, Empty()) }
      await began.until { !$0.isEmpty }
      await pair.server.shutdown(grace: .milliseconds(50))
      let error = await #expect(throws: RPCError.self) { _ = try await running.value }
      #expect(error?.code == .unavailable)
      gate.open()
    }
  }

  // MARK: Limits

  @Test("connections beyond the limit are closed, and there is room again when one ends")
  func connectionLimit() async throws {
    var configuration = ServerConfiguration()
    configuration.maxConnections = 2
    let (began, gate) = (Log<String>(), Gate())
    try await Pair.with(server: configuration, register(began, gate)) { pair in
      let first = ClientChannel(host: "127.0.0.1", port: pair.port)
      let second = ClientChannel(host: "127.0.0.1", port: pair.port)
      _ = try await (peer(first), peer(second))
      let error = await failure { () async throws(RPCError) in try await pair.channel.unary(Self.peer, Empty()) }
      #expect(error?.code == .unavailable)
      #expect(pair.server.openConnections == 2)
      _ = try await (peer(first), peer(second))
      await first.close()
      while pair.server.openConnections == 2 { await Task.yield() }
      _ = try await peer(pair.channel)
      await second.close()
    }
  }

  @Test("calls beyond the server's limit are refused with a time to try again, and taken when there is room")
  func callLimit() async throws {
    var configuration = ServerConfiguration()
    configuration.maxConcurrentCalls = 3
    configuration.overloadPause = .milliseconds(1500)
    let (began, gate) = (Log<String>(), Gate())
    try await Pair.with(server: configuration, register(began, gate)) { pair in
      let running = (0..<3).map { _ in Task { try await pair.channel.unary(Self.wait, Empty()) } }
      await began.until { $0.count == 3 }
      let error = await failure { () async throws(RPCError) in try await pair.channel.unary(Self.peer, Empty()) }
      #expect(error?.code == .resourceExhausted)
      #expect(error?.detail(RetryInfo.self)?.retryDelay?.duration == .milliseconds(1500))
      #expect(error?.retryPushback == .milliseconds(1500))
      gate.open()
      for call in running { _ = try await call.value }
      _ = try await peer(pair.channel)
    }
  }

  @Test("calls beyond the streams that a server allows wait on the client and all end")
  func streamLimit() async throws {
    var configuration = ServerConfiguration()
    configuration.http2.maxConcurrentStreams = 4
    let running = Log<Int>()
    let method = UnaryMethod<Payload, Payload>("test.Life", "Count")
    try await Pair.with(server: configuration) { router in
      router.handle(method) { (request: Payload, _: CallContext) async throws(RPCError) -> Payload in
        await Task.yield()
        return request
      }
    } _: { pair in
      _ = try await pair.channel.unary(method, .with(body: [0]))
      let sum = try await withThrowingTaskGroup(of: Int.self) { group in
        for number in 0..<300 {
          group.addTask {
            running.add(pair.server.runningCalls)
            let answer = try await pair.channel.unary(method, .with(body: [UInt8(number % 256)]))
            return Int(answer.body.first ?? 0)
          }
        }
        return try await group.reduce(0, +)
      }
      #expect(sum == (0..<300).reduce(0) { $0 + $1 % 256 })
      #expect(running.entries.allSatisfy { $0 <= 4 })
    }
  }

  @Test("a call that waits for a stream is ended by its deadline or its caller")
  func waitingCall() async throws {
    var configuration = ServerConfiguration()
    configuration.http2.maxConcurrentStreams = 1
    let (began, gate) = (Log<String>(), Gate())
    try await Pair.with(server: configuration, register(began, gate)) { pair in
      _ = try await peer(pair.channel)
      let running = Task { try await pair.channel.unary(Self.wait, Empty()) }
      await began.until { !$0.isEmpty }
      let late = await failure { () async throws(RPCError) in
        try await pair.channel.unary(Self.peer, Empty(), .timeout(.milliseconds(50)))
      }
      #expect(late?.code == .deadlineExceeded)
      let waiting = Task { try await pair.channel.unary(Self.peer, Empty()) }
      waiting.cancel()
      let cancelled = await #expect(throws: RPCError.self) { _ = try await waiting.value }
      #expect(cancelled?.code == .cancelled)
      gate.open()
      _ = try await running.value
      _ = try await peer(pair.channel)
    }
  }
}
