// The JSON of a service config, and what it does to calls.
import InteropMessages
@testable import RPC
import Testing

@Suite("Service configs", .timeLimit(.minutes(2)))
struct ServiceConfigTests {
  private static let whole = """
    {
      "loadBalancingConfig": [{"some_new_policy": {"a": 1}}, {"round_robin": {}}],
      "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
      "methodConfig": [
        {
          "name": [{"service": "a.Service", "method": "Get"}], "timeout": "1.5s", "waitForReady": true,
          "retryPolicy": {
            "maxAttempts": 9, "initialBackoff": "0.1s", "maxBackoff": "2s", "backoffMultiplier": 1.5,
            "retryableStatusCodes": ["UNAVAILABLE", 10]
          }
        },
        {
          "name": [{"service": "a.Service"}, {"service": "b.Service"}],
          "hedgingPolicy": {"maxAttempts": 3, "hedgingDelay": "0.025s", "nonFatalStatusCodes": ["INTERNAL"]}
        },
        {"name": [{}], "timeout": "60s"}
      ]
    }
    """

  @Test("every field of the JSON is taken")
  func fields() throws {
    let config = try ServiceConfig(json: Self.whole)
    guard case .roundRobin? = config.loadBalancing else {
      Issue.record("the first policy that is known is \(String(describing: config.loadBalancing))")
      return
    }
    #expect(config.retryThrottling?.maxTokens == 10)
    #expect(config.retryThrottling?.tokenRatio == 0.1)
    let get = try #require(config.method("/a.Service/Get"))
    #expect(get.timeout == .milliseconds(1500))
    #expect(get.waitForReady == true)
    #expect(get.retry?.maxAttempts == 5, "more is treated as this")
    #expect(get.retry?.initialBackoff == .milliseconds(100))
    #expect(get.retry?.maxBackoff == .seconds(2))
    #expect(get.retry?.backoffMultiplier == 1.5)
    #expect(get.retry?.retryableStatusCodes == [.unavailable, .aborted])
    let hedged = try #require(config.method("/b.Service/Anything"))
    #expect(hedged.hedging?.maxAttempts == 3)
    #expect(hedged.hedging?.hedgingDelay == .milliseconds(25))
    #expect(hedged.hedging?.nonFatalStatusCodes == [.internal])
  }

  @Test("a method's own config counts before its service's, and that before the one for everything")
  func precedence() throws {
    let config = try ServiceConfig(json: Self.whole)
    #expect(config.method("/a.Service/Get")?.retry != nil)
    #expect(config.method("/a.Service/Put")?.hedging != nil)
    #expect(config.method("/c.Service/Get")?.timeout == .seconds(60))
    #expect(try ServiceConfig(json: "{}").method("/a.Service/Get") == nil)
  }

  private static let name = #""name": [{"service": "a.Service"}]"#
  private static func retry(_ fields: String) -> String {
    #"{"methodConfig": [{\#(name), "retryPolicy": {\#(fields)}}]}"#
  }
  private static func hedging(_ fields: String) -> String {
    #"{"methodConfig": [{\#(name), "hedgingPolicy": {\#(fields)}}]}"#
  }
  private static func method(_ fields: String) -> String { #"{"methodConfig": [{\#(name), \#(fields)}]}"# }

  private static let retryEnd = #""backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]"#
  private static let backoffs = #""initialBackoff": "1s", "maxBackoff": "1s""#
  private static let begin = #""maxAttempts": 2, \#(backoffs)"#

  @Test(
    "a wrong field is named",
    arguments: [
      ("", "service config"),
      ("[]", "service config"),
      (#"{"loadBalancingConfig": [{"unknown": {}}]}"#, "loadBalancingConfig"),
      (#"{"loadBalancingConfig": "round_robin"}"#, "loadBalancingConfig"),
      (#"{"retryThrottling": {"maxTokens": 0, "tokenRatio": 1}}"#, "maxTokens"),
      (#"{"retryThrottling": {"maxTokens": 1001, "tokenRatio": 1}}"#, "maxTokens"),
      (#"{"retryThrottling": {"maxTokens": 10, "tokenRatio": 0}}"#, "tokenRatio"),
      (#"{"retryThrottling": {"maxTokens": 10}}"#, "tokenRatio"),
      (#"{"methodConfig": [{"timeout": "1s"}]}"#, "name"),
      (#"{"methodConfig": [{"name": [{"method": "Get"}]}]}"#, "method"),
      (method(#""timeout": "1""#), "timeout"),
      (method(#""timeout": "s""#), "timeout"),
      (method(#""timeout": "-1s""#), "timeout"),
      (method(#""timeout": "nans""#), "timeout"),
      (method(#""timeout": "1e21s""#), "timeout"),
      (method(#""timeout": 1"#), "timeout"),
      (method(#""waitForReady": "yes""#), "waitForReady"),
      (retry(#""maxAttempts": 1, \#(backoffs), \#(retryEnd)"#), "maxAttempts"),
      (retry(#""maxAttempts": 2.5, \#(backoffs), \#(retryEnd)"#), "maxAttempts"),
      (retry(#"\#(backoffs), \#(retryEnd)"#), "maxAttempts"),
      (retry(#""maxAttempts": 2, "initialBackoff": "0s", "maxBackoff": "1s", \#(retryEnd)"#), "initialBackoff"),
      (retry(#""maxAttempts": 2, "initialBackoff": "1s", "maxBackoff": "soon", \#(retryEnd)"#), "maxBackoff"),
      (retry(#"\#(begin), "backoffMultiplier": 0, "retryableStatusCodes": [14]"#), "backoffMultiplier"),
      (retry(#"\#(begin), "backoffMultiplier": 2, "retryableStatusCodes": []"#), "retryableStatusCodes"),
      (retry(#"\#(begin), "backoffMultiplier": 2, "retryableStatusCodes": ["GONE"]"#), "GONE"),
      (hedging(#""maxAttempts": 1"#), "maxAttempts"),
      (hedging(#""maxAttempts": 2, "hedgingDelay": "1 s""#), "hedgingDelay"),
      (hedging(#""maxAttempts": 2, "nonFatalStatusCodes": [true]"#), "nonFatalStatusCodes"),
      (
        method(
          #""hedgingPolicy": {"maxAttempts": 2}, "retryPolicy": {"maxAttempts": 2, \#(backoffs), \#(retryEnd)}"#),
        "hedgingPolicy"
      ),
    ])
  func wrongFields(_ json: String, _ named: String) {
    let error = #expect(throws: RPCError.self) { _ = try ServiceConfig(json: json) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains(named) == true, "\(error?.message ?? "")")
    #expect(error?.message.contains("Swift.") == false, "\(error?.message ?? "") is no sentence for people")
  }

  @Test("a config's timeout bounds its methods' calls; of two deadlines the earlier counts")
  func timeout() async throws {
    let method = UnaryMethod<Empty, Empty>("test.Slow", "Wait")
    let left = Log<Duration?>()
    var configuration = ClientConfiguration()
    configuration.serviceConfig = try ServiceConfig(
      json: #"{"methodConfig": [{"name": [{"service": "test.Slow"}], "timeout": "30s"}]}"#)
    try await Pair.with(client: configuration) { router in
      router.handle(method) { (_: Empty, context: CallContext) async throws(RPCError) -> Empty in
        left.add(context.deadline?.remaining)
        return Empty()
      }
    } _: { pair in
      for options in [CallOptions(), .timeout(.seconds(1000)), .timeout(.seconds(10))] {
        _ = try await pair.channel.unary(method, Empty(), options)
      }
      let seconds = left.entries.compactMap { $0?.components.seconds }
      #expect(seconds.count == 3)
      #expect(seconds.map { $0 <= 10 } == [false, false, true])
      #expect(seconds.allSatisfy { $0 <= 30 })
    }
  }

  @Test("a config's waitForReady holds for calls that say nothing of it")
  func waitForReady() async throws {
    let port = try await closedPort()
    var configuration = ClientConfiguration()
    configuration.initialBackoff = .milliseconds(5)
    configuration.maxBackoff = .milliseconds(5)
    configuration.serviceConfig = try ServiceConfig(json: #"{"methodConfig": [{"name": [{}], "waitForReady": true}]}"#)
    let channel = ClientChannel(host: "127.0.0.1", port: port, configuration: configuration)
    let error = await failure { () async throws(RPCError) in
      try await channel.unary(TestService.emptyCall, Empty(), CallOptions(waitForReady: false))
    }
    #expect(error?.code == .unavailable, "the caller's word counts first")
    let call = Task { try await channel.unary(TestService.emptyCall, Empty()) }
    var router = Router()
    TestService.register(in: &router)
    let server = Server(router)
    _ = try await server.start(host: "127.0.0.1", port: port)
    _ = try await call.value
    await channel.close()
    await server.shutdown(grace: .zero)
  }
}
