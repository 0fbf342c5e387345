// What wraps calls: client interceptors, call metrics and rate limits.
import InteropMessages
import NIOCore
@testable import RPC
import Synchronization
import Testing

@Suite("Interceptors", .timeLimit(.minutes(2)))
struct InterceptorTests {
  private final class Name: Sendable {
    let text: String
    init(_ text: String) { self.text = text }
  }
  private struct Caller: ContextKey { typealias Value = Name }

  // MARK: Order and context

  @Test("client interceptors run in order, change what is sent, and can refuse the call")
  func client() async throws {
    let first = ClientInterceptor { (path, options) async throws(RPCError) in
      options.metadata.add("x-order", "first")
      options.metadata.set("x-path", path)
    }
    let second = ClientInterceptor { (_, options) async throws(RPCError) in
      if options.metadata["x-stop"] != nil { throw RPCError(.unauthenticated, "no token") }
      options.metadata.add("x-order", "second")
      options.deadline = .after(.seconds(30))
    }
    let seen = Log<(Metadata, Bool)>()
    let method = UnaryMethod<Empty, Empty>("test.Intercepted", "Call")
    try await Pair.with(clientInterceptors: [first, second]) { router in
      router.handle(method) { (_: Empty, context: CallContext) async throws(RPCError) -> Empty in
        seen.add((context.metadata, context.deadline != nil))
        return Empty()
      }
    } _: { pair in
      _ = try await pair.channel.unary(method, Empty())
      let (metadata, hasDeadline) = try #require(seen.entries.first)
      #expect(metadata.all("x-order") == ["first", "second"])
      #expect(metadata["x-path"] == method.path)
      #expect(hasDeadline)
      let stopping = CallOptions(metadata: Metadata([("x-stop", "1")]))
      let error = await failure { () async throws(RPCError) in try await pair.channel.unary(method, Empty(), stopping) }
      #expect(error?.message == "no token")
      #expect(error?.fromPeer == false)
      #expect(seen.entries.count == 1, "the refused call never left")
    }
  }

  @Test("what an interceptor leaves in the context is there for those behind it and for the handler")
  func context() async throws {
    let whoCalls = ServerInterceptor { (context, next) async throws(RPCError) in
      var context = context
      context[Caller.self] = context.header("x-caller").map { Name($0) }
      try await next(context)
    }
    let seen = Log<String?>()
    let behind = ServerInterceptor { (context, next) async throws(RPCError) in
      seen.add(context[Caller.self]?.text)
      try await next(context)
    }
    let method = UnaryMethod<Empty, Payload>("test.Intercepted", "Call")
    try await Pair.with(interceptors: [whoCalls, behind]) { router in
      router.handle(method) { (_: Empty, context: CallContext) async throws(RPCError) -> Payload in
        .with(body: Array((context[Caller.self]?.text ?? "").utf8))
      }
    } _: { pair in
      let answer = try await pair.channel.unary(
        method, Empty(), CallOptions(metadata: Metadata([("x-caller", "anna")])))
      #expect(answer.body == Array("anna".utf8))
      #expect(seen.entries == ["anna"])
    }
  }

  @Test("interceptors beside a call and around it keep their order, and each hears how what is behind it ended")
  func beside() async throws {
    let seen = Log<String>()
    func beside(_ name: String) -> ServerInterceptor {
      ServerInterceptor(
        before: { (context) throws(RPCError) in
          seen.add(name)
          if context.header("x-stop") == name { throw RPCError(.permissionDenied, "stopped by \(name)") }
        },
        after: { seen.add("\(name) \($1?.code.description ?? "ok")") })
    }
    func around(_ name: String) -> ServerInterceptor {
      ServerInterceptor { (context, next) async throws(RPCError) in
        seen.add(name)
        if context.header("x-stop") == name { throw RPCError(.permissionDenied, "stopped by \(name)") }
        do throws(RPCError) { try await next(context) } catch {
          seen.add("\(name) \(error.code.description)")
          throw error
        }
        seen.add("\(name) ok")
      }
    }
    let settling = ServerInterceptor(
      settle: { (context) throws(RPCError) in
        seen.add("s")
        context[Caller.self] = Name("settled")
        return context.header("x-wait") == nil
      },
      otherwise: { (context, next) async throws(RPCError) in
        await Task.yield()
        seen.add("waited")
        var context = context
        context[Caller.self] = Name("waited")
        try await next(context)
      })
    let method = UnaryMethod<Empty, Payload>("test.Intercepted", "Call")
    let chain = [beside("a"), beside("b"), settling, beside("c"), around("d"), beside("e")]
    try await Pair.with(interceptors: chain) { router in
      router.handle(method) { (_: Empty, context: CallContext) async throws(RPCError) -> Payload in
        if context.header("x-stop") == "handler" { throw RPCError(.notFound, "nothing here") }
        return .with(body: Array((context[Caller.self]?.text ?? "").utf8))
      }
    } _: { pair in
      func call(_ fields: (String, String)...) async -> [String] {
        let before = seen.entries.count
        do throws(RPCError) {
          let answer = try await pair.channel.unary(method, Empty(), CallOptions(metadata: Metadata(fields)))
          seen.add(String(decoding: answer.body, as: UTF8.self))
        } catch { seen.add("\(error.code.description)") }
        return Array(seen.entries[before...])
      }
      let inside = ["c", "d", "e", "e ok", "d ok", "c ok"]
      #expect(await call() == ["a", "b", "s"] + inside + ["b ok", "a ok", "settled"])
      #expect(await call(("x-wait", "1")) == ["a", "b", "s", "waited"] + inside + ["b ok", "a ok", "waited"])
      let denied = StatusCode.permissionDenied.description
      #expect(await call(("x-stop", "b")) == ["a", "b", "a \(denied)", denied])
      #expect(await call(("x-stop", "c")) == ["a", "b", "s", "c", "b \(denied)", "a \(denied)", denied])
      #expect(
        await call(("x-stop", "d")) == ["a", "b", "s", "c", "d", "c \(denied)", "b \(denied)", "a \(denied)", denied])
      let lost = StatusCode.notFound.description
      #expect(
        await call(("x-stop", "handler"))
          == ["a", "b", "s", "c", "d", "e"] + ["e", "d", "c", "b", "a"].map { "\($0) \(lost)" } + [lost])
    }
  }

  @Test("handlers that wait now and then answer all the same, and whoever ends meanwhile ends")
  func waitsNowAndThen() async throws {
    let method = UnaryMethod<Payload, Payload>("test.Intercepted", "Sometimes")
    try await Pair.with { router in
      router.handle(method) { (request: Payload, _: CallContext) async throws(RPCError) -> Payload in
        if request.body.first == 0 {
          // Comes back on whatever thread Swift likes.
          await Task.detached { await Task.yield() }.value
        }
        return request
      }
    } _: { pair in
      for round in 0..<4 {
        await withTaskGroup(of: Void.self) { group in
          for number in 0..<100 {
            // Hardly any, all, and then again hardly any.
            let waits = round == 1 || number % 40 == 0
            group.addTask {
              let body: [UInt8] = [waits ? 0 : 1, UInt8(number)]
              let answer = try? await pair.channel.unary(method, .with(body: body))
              #expect(answer?.body == body)
            }
          }
        }
      }
      #expect(pair.server.runningCalls == 0)
    }
  }

  // MARK: Metrics

  /// The samples of an exposition by name and labels.
  private func samples(_ text: String) throws -> [String: Double] {
    #expect(text.hasSuffix("\n"))
    var samples: [String: Double] = [:]
    var typed: Set<String> = []
    let line = /([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)/
    for text in text.split(separator: "\n", omittingEmptySubsequences: true) {
      if text.hasPrefix("# TYPE ") {
        let words = text.split(separator: " ")
        #expect(words.count == 4 && ["counter", "gauge", "histogram"].contains(words[3]))
        #expect(typed.insert(String(words[2])).inserted, "\(words[2]) has one type line")
        continue
      }
      if text.hasPrefix("# HELP ") { continue }
      let match = try #require(text.wholeMatch(of: line), "not a sample: \(text)")
      let value = try #require(Double(match.3))
      #expect(samples.updateValue(value, forKey: "\(match.1)\(match.2 ?? "")") == nil, "\(text) stands twice")
      let family = String(match.1)
      let parts = ["_bucket", "_sum", "_count"].filter(family.hasSuffix).map { String(family.dropLast($0.count)) }
      let isTyped = typed.contains(family) || parts.contains(where: typed.contains)
      #expect(isTyped, "\(family) has no type line before it")
    }
    return samples
  }

  private func requests(_ path: String, _ code: String) -> String {
    "rpc_server_requests_total{method=\"\(path)\",code=\"\(code)\"}"
  }

  @Test("calls are counted by method and status, and their times fall into buckets")
  func metrics() async throws {
    let metrics = CallMetrics()
    let (began, gate) = (Log<Int>(), Gate())
    let wait = UnaryMethod<Empty, Empty>("test.Metrics", "Wait")
    try await Pair.with(interceptors: [metrics.interceptor]) { router in
      router.handle(wait) { (_: Empty, _: CallContext) async throws(RPCError) -> Empty in
        began.add(1)
        await gate.wait()
        return Empty()
      }
    } _: { pair in
      for _ in 0..<5 { _ = try await pair.channel.unary(TestService.emptyCall, Empty()) }
      let failing = SimpleRequest.with {
        $0.responseStatus = .with {
          $0.code = 5
          $0.message = "no"
        }
      }
      for _ in 0..<2 {
        _ = await failure { () async throws(RPCError) in try await pair.channel.unary(TestService.unaryCall, failing) }
      }
      let running = Task { try await pair.channel.unary(wait, Empty()) }
      await began.until(1)
      var now = try samples(metrics.exposition())
      #expect(now[requests(TestService.emptyCall.path, "OK")] == 5)
      #expect(now[requests(TestService.unaryCall.path, "NOT_FOUND")] == 2)
      #expect(now["rpc_server_active_requests{method=\"\(wait.path)\"}"] == 1)
      #expect(now["rpc_server_active_requests{method=\"\(TestService.emptyCall.path)\"}"] == 0)
      let histogram = "rpc_server_duration_seconds"
      let buckets = (CallMetrics.buckets.map { "\($0)" } + ["+Inf"]).map {
        now["\(histogram)_bucket{method=\"\(TestService.emptyCall.path)\",le=\"\($0)\"}"]
      }
      #expect(buckets.compactMap { $0 }.count == CallMetrics.buckets.count + 1)
      #expect(buckets.compactMap { $0 } == buckets.compactMap { $0 }.sorted(), "buckets add up")
      #expect(buckets.last == 5)
      #expect(now["\(histogram)_count{method=\"\(TestService.emptyCall.path)\"}"] == 5)
      #expect((now["\(histogram)_sum{method=\"\(TestService.emptyCall.path)\"}"] ?? 0) > 0)
      gate.open()
      _ = try await running.value
      now = try samples(metrics.exposition())
      #expect(now["rpc_server_active_requests{method=\"\(wait.path)\"}"] == 0)
    }
  }

  @Test("a call that its deadline ended counts as such, whatever its handler says then")
  func metricsOfEnds() async throws {
    let metrics = CallMetrics()
    let ended = Log<Int>()
    let wait = UnaryMethod<Empty, Empty>("test.Metrics", "Wait")
    try await Pair.with(interceptors: [metrics.interceptor]) { router in
      router.handle(wait) { (_: Empty, _: CallContext) async throws(RPCError) -> Empty in
        await Gate().wait()
        ended.add(1)
        return Empty()
      }
    } _: { pair in
      // This caller has no deadline of its own, so that the server's is what ends the call.
      let heard = try await PlainClient.call(
        pair.port, path: wait.path, headers: [("grpc-timeout", "100m")], body: framed([]))
      #expect(heard.value("grpc-status") == "4")
      await ended.until(1)
      let active = "rpc_server_active_requests{method=\"\(wait.path)\"}"
      while try samples(metrics.exposition())[active] != 0 { await Task.yield() }
      let now = try samples(metrics.exposition())
      #expect(now[requests(wait.path, "DEADLINE_EXCEEDED")] == 1)
      #expect(now[requests(wait.path, "OK")] == nil, "what the handler said came too late")
    }
  }
}
