// A method whose attempts end as a test says, for retries and hedging.
import InteropMessages
import RPC

/// What becomes of each attempt of a call.
struct Flaky: Sendable {
  static let call = UnaryMethod<Empty, Payload>("test.Flaky", "Call")
  static let collect = ClientStreamingMethod<Payload, Payload>("test.Flaky", "Collect")
  static let list = ServerStreamingMethod<Empty, Payload>("test.Flaky", "List")

  /// What the server saw of `grpc-previous-rpc-attempts` in each attempt, nil where there was none.
  let attempts = Log<String?>()
  /// The attempts whose handlers were cancelled.
  let cancelled = Log<Int>()
  /// Ends an attempt: the first has number 1. What it returns or throws is the answer.
  let attempt: @Sendable (_ number: Int, CallContext) async throws(RPCError) -> [UInt8]

  func register(in router: inout Router) {
    router.handle(Self.call) { (_: Empty, context: CallContext) async throws(RPCError) -> Payload in
      try await .with(body: answer(context))
    }
    router.handle(Self.collect) {
      (requests: RequestStream<Payload>, context: CallContext) async throws(RPCError) -> Payload in
      var all: [UInt8] = []
      for try await request in requests { all += request.body }
      return try await .with(body: all + answer(context))
    }
    router.handle(Self.list) {
      (_: Empty, context: CallContext, responses: ResponseWriter<Payload>) async throws(RPCError) in
      for byte in try await answer(context) { try await responses.send(.with(body: [byte])) }
    }
  }

  private func answer(_ context: CallContext) async throws(RPCError) -> [UInt8] {
    attempts.add(context.header("grpc-previous-rpc-attempts"))
    let number = attempts.entries.count
    do throws(RPCError) {
      let answer = try await attempt(number, context)
      if Task.isCancelled { cancelled.add(number) }
      return answer
    } catch {
      if Task.isCancelled { cancelled.add(number) }
      throw error
    }
  }

  /// Runs `body` with a channel under this method config and a server that answers so.
  static func with<R>(
    _ method: ServiceConfig.MethodConfig, throttling: ServiceConfig.RetryThrottling? = nil,
    random: @escaping @Sendable () -> Double = { 0 },
    attempt: @escaping @Sendable (_ number: Int, CallContext) async throws(RPCError) -> [UInt8],
    _ body: (Flaky, ClientChannel) async throws -> R
  ) async throws -> R {
    let flaky = Flaky(attempt: attempt)
    var configuration = ClientConfiguration()
    configuration.serviceConfig.methods = [method]
    configuration.serviceConfig.retryThrottling = throttling
    configuration.random = random
    return try await Pair.with(client: configuration, { flaky.register(in: &$0) }) { pair in
      try await body(flaky, pair.channel)
    }
  }
}

extension Payload {
  static func with(body: [UInt8]) -> Payload { .with { $0.body = body } }
}
