// What happens to calls when connections come and go, and when one side is slow.
import InteropMessages
import RPC
import Synchronization
import Testing

@Suite("Connections", .timeLimit(.minutes(3)))
struct ConnectionTests {
  @Test("nobody listening is told with the address, at once")
  func refused() async throws {
    let port = try await Pair.with { $0.port }
    let channel = ClientChannel(host: "127.0.0.1", port: port)
    let error = await #expect(throws: RPCError.self) { _ = try await channel.unary(TestService.emptyCall, Empty()) }
    #expect(error?.code == .unavailable)
    #expect(error?.message == "cannot connect to 127.0.0.1:\(port): connection refused")
    await channel.close()
  }

  @Test("a call that waits for ready goes through once the server is there")
  func waitForReady() async throws {
    let port = try await Pair.with { $0.port }
    let channel = ClientChannel(host: "127.0.0.1", port: port)
    _ = await #expect(throws: RPCError.self) { _ = try await channel.unary(TestService.emptyCall, Empty()) }
    let call = Task {
      try await channel.unary(
        TestService.emptyCall, Empty(), CallOptions(deadline: .after(.seconds(20)), waitForReady: true))
    }
    var router = Router()
    TestService.register(in: &router)
    let server = Server(router)
    _ = try await server.start(host: "127.0.0.1", port: port)
    _ = try await call.value
    await channel.close()
    await server.shutdown(grace: .zero)
  }

  @Test("draining lets a running call end, and the next one finds the new server")
  func drain() async throws {
    let method = UnaryMethod<Empty, Payload>("test.Slow", "Wait")
    let (began, didBegin) = AsyncStream.makeStream(of: Void.self)
    let (goOn, mayEnd) = AsyncStream.makeStream(of: Void.self)
    func router() -> Router {
      var router = Router()
      TestService.register(in: &router)
      router.handle(method) { (_: Empty, _: CallContext) async throws(RPCError) -> Payload in
        didBegin.yield()
        for await _ in goOn { break }
        return .with { $0.body = [1] }
      }
      return router
    }
    let first = Server(router())
    let port = try await first.start(host: "127.0.0.1", port: 0)
    let channel = ClientChannel(host: "127.0.0.1", port: port)
    let running = Task { try await channel.unary(method, Empty()) }
    for await _ in began { break }
    let stopping = Task { await first.shutdown(grace: .seconds(20)) }
    let second = Server(router())
    // The old server stops listening as the first thing it does; until then the port is taken.
    while true {
      do {
        _ = try await second.start(host: "127.0.0.1", port: port)
        break
      } catch { await Task.yield() }
    }
    mayEnd.yield()
    #expect(try await running.value.body == [1])
    await stopping.value
    _ = try await channel.unary(TestService.emptyCall, Empty(), CallOptions(waitForReady: true))
    await channel.close()
    await second.shutdown(grace: .zero)
  }

  @Test("a slow reader holds the sender back")
  func backPressure() async throws {
    let method = ServerStreamingMethod<Empty, Payload>("test.Flood", "Run")
    let sent = Mutex(0)
    let total = 200
    try await Pair.with { router in
      router.handle(method) { (_: Empty, _: CallContext, writer: ResponseWriter<Payload>) async throws(RPCError) in
        for _ in 0..<total {
          try await writer.send(.with { $0.body = [UInt8](repeating: 1, count: 64 << 10) })
          sent.withLock { $0 += 1 }
        }
      }
    } _: { pair in
      let stream = try await pair.channel.serverStreaming(method, Empty())
      let iterator = stream.makeAsyncIterator()
      _ = try await iterator.next()
      // Unread, the sender must come to rest far below the 12.5 MiB it has to say: two windows and the queues' bounds.
      var last = -1
      while true {
        let now = sent.withLock { $0 }
        if now == last { break }
        last = now
        for _ in 0..<50 { _ = try await pair.channel.unary(TestService.emptyCall, Empty()) }
      }
      #expect(last < total / 2, "\(last) messages left the server unread")
      var count = 1
      while try await iterator.next() != nil { count += 1 }
      #expect(count == total)
    }
  }

  @Test("a call passed on by a forwarding server keeps messages, metadata, deadline and status")
  func forwarding() async throws {
    try await Pair.with { upstream in
      var router = Router()
      router.forward(service: TestService.name, to: upstream.channel)
      let relay = Server(router)
      let port = try await relay.start(host: "127.0.0.1", port: 0)
      let channel = ClientChannel(host: "127.0.0.1", port: port)
      let unary = try await channel.unary(TestService.unaryCall, .with { $0.responseSize = 100_000 })
      #expect(unary.payload?.body.count == 100_000)
      var sizes: [Int] = []
      for try await response in try await channel.serverStreaming(
        TestService.streamingOutputCall, responses([1, 200_000, 3]))
      { sizes.append(response.payload?.body.count ?? -1) }
      #expect(sizes == [1, 200_000, 3])
      let failed = await #expect(throws: RPCError.self) {
        _ = try await channel.unary(
          TestService.unaryCall,
          .with {
            $0.responseStatus = .with {
              $0.code = 5
              $0.message = "not here"
            }
          })
      }
      #expect(failed?.code == .notFound)
      #expect(failed?.message == "not here")
      let late = await #expect(throws: RPCError.self) {
        for try await _ in try await channel.serverStreaming(
          TestService.streamingOutputCall, responses([1], interval: 30_000_000), .timeout(.milliseconds(200)))
        {}
      }
      #expect(late?.code == .deadlineExceeded)
      let unknown = await #expect(throws: RPCError.self) {
        _ = try await channel.unary(TestService.unimplementedCall, Empty())
      }
      #expect(unknown?.code == .unimplemented)
      await channel.close()
      await relay.shutdown(grace: .zero)
    }
  }

  @Test("health says what was set and follows changes")
  func health() async throws {
    try await Pair.with { pair in
      pair.server.health.set("a.Service", .serving)
      let whole = try await pair.channel.unary(Health.check, HealthCheckRequest())
      #expect(whole.status == .serving)
      let unknown = await #expect(throws: RPCError.self) {
        _ = try await pair.channel.unary(Health.check, .with { $0.service = "no.Service" })
      }
      #expect(unknown?.code == .notFound)
      let watch = try await pair.channel.serverStreaming(Health.watch, .with { $0.service = "a.Service" })
      let iterator = watch.makeAsyncIterator()
      #expect(try await iterator.next()?.status == .serving)
      pair.server.health.set("a.Service", .notServing)
      #expect(try await iterator.next()?.status == .notServing)
    }
  }
}
