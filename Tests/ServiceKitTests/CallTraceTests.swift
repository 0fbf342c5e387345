// The trace of a call, which an interceptor beside it makes the running task's own: seen by the handler whatever it does, by
// what it starts, and by nobody else.
import FerryAPI
import Logging
import NIOCore
import RPC
import Synchronization
import Testing

@testable import ServiceKit

@Suite("The trace of a call", .timeLimit(.minutes(2)))
struct CallTraceTests {
  /// What was seen, in the order of seeing.
  private final class Seen: Sendable {
    private let values = Mutex<[String: String]>([:])
    func add(_ name: String, _ trace: TraceContext?) { values.withLock { $0[name] = trace?.traceID ?? "none" } }
    subscript(_ name: String) -> String? { values.withLock { $0[name] } }
  }

  private static func traceID(_ number: Int) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 32 - digits.utf8.count) + digits
  }

  private func with(
    behind: ServerInterceptor? = nil, outside: ServerInterceptor? = nil,
    _ handler: @escaping @Sendable (String, CallContext) async throws(RPCError) -> String,
    _ body: (_ call: @escaping @Sendable (_ name: String, _ trace: Int?) async throws -> String) async throws -> Void
  ) async throws {
    var router = Router()
    router.handle(Auth.whoAmI) { (_, context) async throws(RPCError) in
      let answer = try await handler(context.header("x-name") ?? "", context)
      return User.with { $0.userName = answer }
    }
    let all = [outside, CallInterceptors.tracing, behind].compactMap { $0 }
    let server = Server(router, interceptors: all)
    let port = try await server.start(host: "127.0.0.1", port: 0)
    let channel = ClientChannel(host: "127.0.0.1", port: port)
    let result: Result<Void, any Error>
    do {
      try await body { name, trace in
        var options = CallOptions.timeout(.seconds(60))
        options.metadata.add("x-name", name)
        if let trace { options.metadata.add("traceparent", "00-\(Self.traceID(trace))-00f067aa0ba902b7-01") }
        return try await channel.unary(Auth.whoAmI, WhoAmIRequest(), options).userName
      }
      result = .success(())
    } catch { result = .failure(error) }
    await channel.close()
    await server.shutdown(grace: .seconds(5))
    try result.get()
  }

  @Test("a hundred calls on one connection, some of which wait, each see their own trace throughout")
  func own() async throws {
    let seen = Seen()
    try await with { (name, _) async throws(RPCError) in
      let number = Int(name) ?? 0
      let first = TraceContext.current?.traceID
      if number % 3 == 0 { try? await Task.sleep(for: .milliseconds(number % 7)) }
      async let child = TraceContext.current?.traceID
      let inner = await TraceContext.$current.withValue(.start()) {
        await Task.yield()
        return TraceContext.current?.traceID
      }
      let last = TraceContext.current?.traceID
      let ofChild = await child
      // Goes on when the call has ended, and its task has gone on to others.
      Task {
        try? await Task.sleep(for: .milliseconds(20))
        seen.add(name, TraceContext.current)
      }
      return first == last && last == ofChild && inner != nil && inner != first ? first ?? "none" : "changed"
    } _: { call in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 1...100 {
          group.addTask { () async throws -> Void in
            let seenByHandler = try await call("\(number)", number)
            #expect(seenByHandler == Self.traceID(number))
          }
        }
        try await group.waitForAll()
      }
      for number in 1...100 {
        for _ in 0..<500 where seen["\(number)"] == nil { try await Task.sleep(for: .milliseconds(10)) }
        #expect(seen["\(number)"] == Self.traceID(number))
      }
    }
  }

  @Test("a trace ends with its call, also where the call is refused or fails")
  func ends() async throws {
    let seen = Seen()
    let outside = ServerInterceptor(
      before: { (context) throws(RPCError) in seen.add("before " + (context.header("x-name") ?? ""), .current) },
      after: { context, _ in seen.add("after " + (context.header("x-name") ?? ""), .current) })
    let behind = ServerInterceptor(
      before: { (context) throws(RPCError) in
        seen.add("behind " + (context.header("x-name") ?? ""), .current)
        if context.header("x-name") == "refused" { throw RPCError(.permissionDenied, "not you") }
      })
    try await with(behind: behind, outside: outside) { (name, _) async throws(RPCError) in
      if name == "failed" { throw RPCError(.notFound, "nothing there") }
      return TraceContext.current?.traceID ?? "none"
    } _: { call in
      for (number, name) in ["refused", "failed", "answered"].enumerated() {
        let answer = try? await call(name, number + 1)
        #expect(answer == (name == "answered" ? Self.traceID(number + 1) : nil))
        #expect(seen["behind " + name] == Self.traceID(number + 1))
        #expect(seen["before " + name] == "none")
        #expect(seen["after " + name] == "none")
      }
      let own = try await call("own", nil)
      let another = try await call("another", nil)
      #expect(own != "none" && own != Self.traceID(3), "a call that brings no trace starts one")
      #expect(another != own)
    }
  }
}
