// gRPC's health and reflection services, as clients of any language use them.
import InteropMessages
import ProtoWire
@testable import RPC
import Testing

@Suite("Health and reflection", .timeLimit(.minutes(2)))
struct HealthTests {
  @Test("Check tells what was set, and NOT_FOUND of what was not")
  func check() async throws {
    try await Pair.with { pair in
      pair.server.health.set("a.Service", .notServing)
      let whole = try await pair.channel.unary(Health.check, HealthCheckRequest())
      #expect(whole.status == .serving, "the empty name is the server")
      let one = try await pair.channel.unary(Health.check, .with { $0.service = "a.Service" })
      #expect(one.status == .notServing)
      let error = await failure { () async throws(RPCError) in
        try await pair.channel.unary(Health.check, .with { $0.service = "no.Service" })
      }
      #expect(error?.code == .notFound)
    }
  }

  @Test("List tells all services at once, and refuses when they are more than the standard's hundred")
  func list() async throws {
    try await Pair.with { pair in
      pair.server.health.set("a.Service", .notServing)
      pair.server.health.set("b.Service", .serving)
      let all = try await pair.channel.unary(Health.list, HealthListRequest())
      #expect(all.statuses.mapValues(\.status) == ["": .serving, "a.Service": .notServing, "b.Service": .serving])
      for number in 0..<97 { pair.server.health.set("service \(number)", .serving) }
      #expect(try await pair.channel.unary(Health.list, HealthListRequest()).statuses.count == 100)
      pair.server.health.set("one more", .serving)
      let error = await failure { () async throws(RPCError) in
        try await pair.channel.unary(Health.list, HealthListRequest())
      }
      #expect(error?.code == .resourceExhausted)
    }
  }

  @Test("Watch tells each change, of a service that is not known yet as well")
  func watch() async throws {
    try await Pair.with { pair in
      let watch = try await pair.channel.serverStreaming(Health.watch, .with { $0.service = "late.Service" })
      let iterator = watch.makeAsyncIterator()
      #expect(try await iterator.next()?.status == .serviceUnknown)
      pair.server.health.set("other.Service", .serving)
      for status in [ServingStatus.serving, .notServing, .serving] {
        pair.server.health.set("late.Service", status)
        #expect(try await iterator.next()?.status == status)
      }
    }
  }

  @Test("a server that shuts down says NOT_SERVING to those who watch, and their calls do not hold it up")
  func shutdown() async throws {
    try await Pair.with { pair in
      pair.server.health.set("a.Service", .serving)
      let watch = try await pair.channel.serverStreaming(Health.watch, .with { $0.service = "a.Service" })
      let iterator = watch.makeAsyncIterator()
      #expect(try await iterator.next()?.status == .serving)
      let stopping = Task { await pair.server.shutdown(grace: .seconds(100)) }
      #expect(try await iterator.next()?.status == .notServing)
      #expect(try await iterator.next() == nil)
      await stopping.value
    }
  }

  @Test("a watch that begins while the server shuts down does not hold it up either")
  func watchInShutdown() async throws {
    let method = UnaryMethod<Empty, Empty>("test.Slow", "Wait")
    let (began, gate) = (Gate(), Gate())
    try await Pair.with { router in
      router.handle(method) { (_: Empty, _: CallContext) async throws(RPCError) -> Empty in
        began.open()
        await gate.wait()
        return Empty()
      }
    } _: { pair in
      let running = Task { try await pair.channel.unary(method, Empty()) }
      await began.wait()
      // Between the two, without the race that a client would have: what a Watch does.
      pair.server.health.shutdown()
      let changes = Task {
        var count = 0
        for await _ in pair.server.health.changes() { count += 1 }
        return count
      }
      let count = await within(.seconds(5)) { await changes.value }
      #expect(count == 1, "one word, and the end")
      changes.cancel()
      gate.open()
      _ = try await running.value
    }
  }

  // MARK: Reflection

  private func ask(_ version: String, _ queries: [ReflectionRequest.Query?], _ channel: ClientChannel) async throws
    -> [ReflectionResponse]
  {
    let method = BidirectionalMethod<ReflectionRequest, ReflectionResponse>(
      "grpc.reflection.\(version).ServerReflection", "ServerReflectionInfo")
    let (writer, stream) = try await channel.bidirectional(method)
    for query in queries {
      try await writer.send(
        .with {
          $0.host = "test"
          $0.query = query
        })
    }
    writer.finish()
    return try await stream.reduce(into: []) { $0.append($1) }
  }

  private let queries: [ReflectionRequest.Query?] = [
    .listServices, .fileByFilename("grpc/testing/test.proto"), .fileByFilename("no.proto"),
    .fileContainingSymbol("grpc.testing.TestService"), .fileContainingSymbol("grpc.testing.TestService.UnaryCall"),
    .fileContainingSymbol("grpc.testing.SimpleRequest.payload"), .fileContainingSymbol("grpc.health.v1.Health.Watch"),
    .fileContainingSymbol("grpc.health.v1.HealthCheckResponse.ServingStatus"), .fileContainingSymbol("no.Symbol"), nil,
  ]

  @Test("both versions of reflection answer the same")
  func versions() async throws {
    try await Pair.with { pair in
      let current = try await ask("v1", queries, pair.channel)
      let alpha = try await ask("v1alpha", queries, pair.channel)
      #expect(current == alpha)
      #expect(current.count == queries.count)
      #expect(current.map { $0.error?.errorCode } == [nil, nil, 5, nil, nil, nil, nil, nil, 5, 3])
      let services = try #require(current.first?.services).service.map(\.name)
      #expect(services == services.sorted())
      #expect(Set(services).isSuperset(of: [TestService.name, Health.name]))
      for (answer, query) in zip(current, queries) {
        #expect(answer.originalRequest?.query == query)
        #expect(answer.validHost == "test")
      }
    }
  }

  @Test("a symbol inside a message is found with its file")
  func nested() async throws {
    try await Pair.with { pair in
      let answers = try await ask(
        "v1",
        [
          .fileContainingSymbol("grpc.health.v1.HealthListResponse.StatusesEntry"),
          .fileContainingSymbol("grpc.health.v1.HealthListResponse.StatusesEntry.key"),
        ], pair.channel)
      #expect(answers.map { $0.error?.errorMessage } == [nil, nil])
    }
  }
}
