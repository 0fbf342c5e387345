// Which tokens let a call through: sent over the wire to a real server whose handler counts how often it ran.
import Crypto
import FerryAPI
import FoundationEssentials
import Logging
import RPC
import Synchronization
import Testing

@testable import ServiceKit

private final class Counter: Sendable {
  private let value = Atomic<Int>(0)
  func add() { value.wrappingAdd(1, ordering: .relaxed) }
  var count: Int { value.load(ordering: .relaxed) }
}

/// A server of Auth.WhoAmI (any person) and Auth.ListUsers (administrators).
private struct GuardedServer {
  let issuer = TestIssuer()
  let clock = TestClock()
  let ran = Counter()

  func run(_ body: (ClientChannel) async throws -> Void) async throws {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let (issuer, clock, ran) = (issuer, clock, ran)
    let verifier = TokenVerifier(logger: logger, now: { clock.now }) { () async throws(RPCError) in issuer.jwks }
    var router = Router()
    router.handle(Auth.whoAmI) { (_, context) async throws(RPCError) in
      ran.add()
      let caller = try context.caller
      return User.with {
        $0.person = caller.person
        $0.roles = caller.roles.sorted { $0.rawValue < $1.rawValue }
        $0.userName = TraceContext.current?.traceID ?? ""
      }
    }
    router.handle(Auth.listUsers) { (_, _) async throws(RPCError) in
      ran.add()
      return ListUsersResponse()
    }
    let server = Server(
      router, interceptors: [
        CallInterceptors.tracing, CallInterceptors.logging(logger), CallInterceptors.access(verifier, logger),
      ])
    let port = try await server.start(host: "127.0.0.1", port: 0)
    let channel = ClientChannel(host: "127.0.0.1", port: port)
    do { try await body(channel) } catch {
      await channel.close()
      await server.shutdown(grace: .seconds(1))
      throw error
    }
    await channel.close()
    await server.shutdown(grace: .seconds(1))
  }
}

private func bearer(_ token: String) -> CallOptions {
  var options = CallOptions.timeout(.seconds(60))
  options.metadata.add("authorization", "Bearer \(token)")
  return options
}

private func failureCode(_ channel: ClientChannel, _ options: CallOptions) async -> StatusCode {
  await code { () async throws(RPCError) in try await channel.unary(Auth.whoAmI, WhoAmIRequest(), options) }
}

private func code(_ body: () async throws(RPCError) -> some Sendable) async -> StatusCode {
  do throws(RPCError) {
    _ = try await body()
    return .ok
  } catch { return error.code }
}

@Suite("Access tokens")
struct TokenTests {
  @Test("a valid token names the caller to the handler")
  func valid() async throws {
    let server = GuardedServer()
    try await server.run { channel in
      let user = try await channel.unary(Auth.whoAmI, WhoAmIRequest(), bearer(try server.issuer.token()))
      #expect(user.person?.id == "usr_1")
      #expect(user.person?.email == "ada@example.com")
      #expect(user.roles == [.requester])
    }
  }

  @Test("every bad token is UNAUTHENTICATED and the handler does not run")
  func refused() async throws {
    let server = GuardedServer()
    let issuer = server.issuer
    let foreign = TestIssuer()
    let second = TestIssuer.second
    let publicKey = SymmetricKey(data: issuer.key.publicKey.rawRepresentation)
    let publicPEM = SymmetricKey(data: Data(issuer.jwks.utf8))
    let good = try issuer.token()
    let parts = good.split(separator: ".").map(String.init)
    let bad: [(String, String)] = [
      ("no signature", issuer.signed(issuer.header(alg: "none"), TestIssuer.claims()) { _ in [] }),
      ("alg none, signed all the same", try issuer.token(header: issuer.header(alg: "none"))),
      (
        "HS256 with the public key",
        issuer.signed(issuer.header(alg: "HS256"), TestIssuer.claims()) {
          Array(HMAC<SHA256>.authenticationCode(for: $0, using: publicKey))
        }
      ),
      (
        "HS512 with the public key, as long as a real signature",
        issuer.signed(issuer.header(alg: "HS512"), TestIssuer.claims()) {
          Array(HMAC<SHA512>.authenticationCode(for: $0, using: publicKey))
        }
      ),
      (
        "HS512 with the key set",
        issuer.signed(issuer.header(alg: "HS512"), TestIssuer.claims()) {
          Array(HMAC<SHA512>.authenticationCode(for: $0, using: publicPEM))
        }
      ),
      ("a right signature under the name HS256", try issuer.token(header: issuer.header(alg: "HS256"))),
      ("a right signature under the name eddsa", try issuer.token(header: issuer.header(alg: "eddsa"))),
      ("a critical extension", try issuer.token(header: issuer.header(more: #","crit":["b64"],"b64":false"#))),
      ("expired", try issuer.token(TestIssuer.claims(exp: second))),
      ("expired within the leeway of other claims", try issuer.token(TestIssuer.claims(exp: second - 1))),
      ("another audience", try issuer.token(TestIssuer.claims(aud: "somebody"))),
      ("another issuer", try issuer.token(TestIssuer.claims(iss: "somebody"))),
      ("no issuer", try issuer.token(#"{"aud":"fileferry","sub":"usr_1","exp":\#(second + 900)}"#)),
      ("nbf in the future", try issuer.token(TestIssuer.claims(more: #","nbf":\#(second + 31)"#))),
      ("iat in the future", try issuer.token(TestIssuer.claims(iat: second + 31))),
      ("an expiry beyond all numbers", try issuer.token(TestIssuer.claims(exp: .max))),
      ("a foreign key under our key's name", try foreign.token()),
      ("an unknown key", try TestIssuer(keyID: "key-2").token()),
      ("no kid", try issuer.token(header: #"{"alg":"EdDSA"}"#)),
      ("an actor that is no service", try issuer.token(TestIssuer.claims(more: #","act":{"sub":"usr_2"}"#))),
      (
        "claims changed after signing",
        [parts[0], Base64URL.encode(Array(TestIssuer.claims(sub: "usr_2").utf8)), parts[2]].joined(separator: ".")
      ),
      ("a signature cut short", String(good.dropLast(2))),
      ("two parts", parts[0] + "." + parts[1]),
      ("four parts", good + ".x"),
      ("garbage", "garbage"),
      ("garbage in three parts", "a.b.c"),
      ("a header that is no object", try issuer.token(header: "[]")),
      ("claims that are no object", try issuer.token("[]")),
      ("too long", try issuer.token(TestIssuer.claims(more: #","x":"\#(String(repeating: "x", count: 4096))""#))),
    ]
    try await server.run { channel in
      for (name, token) in bad {
        let code = await code { () async throws(RPCError) in
          try await channel.unary(Auth.whoAmI, WhoAmIRequest(), bearer(token))
        }
        #expect(code == .unauthenticated, "\(name)")
      }
      let code = await code { () async throws(RPCError) in
        try await channel.unary(Auth.whoAmI, WhoAmIRequest(), .timeout(.seconds(60)))
      }
      #expect(code == .unauthenticated, "no token at all")
      for value in ["Basic YWRhOmFkYQ==", "Bearer", good] {
        var options = CallOptions.timeout(.seconds(60))
        options.metadata.add("authorization", value)
        let refused = await failureCode(channel, options)
        #expect(refused == .unauthenticated, "not a bearer token")
      }
      #expect(server.ran.count == 0)
      // The same server lets a good one through, so that the refusals above mean something.
      _ = try await channel.unary(Auth.whoAmI, WhoAmIRequest(), bearer(good))
      #expect(server.ran.count == 1)
    }
  }

  @Test("a clock that is half a minute behind still takes a fresh token, but none that has expired")
  func leeway() async throws {
    let server = GuardedServer()
    let second = TestIssuer.second
    try await server.run { channel in
      let early = try server.issuer.token(TestIssuer.claims(iat: second + 30, more: #","nbf":\#(second + 30)"#))
      _ = try await channel.unary(Auth.whoAmI, WhoAmIRequest(), bearer(early))
    }
  }

  @Test("a token that was verified before is refused once it expires")
  func expiresInCache() async throws {
    let server = GuardedServer()
    try await server.run { channel in
      let token = try server.issuer.token()
      _ = try await channel.unary(Auth.whoAmI, WhoAmIRequest(), bearer(token))
      server.clock.advance(milliseconds: 899_999)
      _ = try await channel.unary(Auth.whoAmI, WhoAmIRequest(), bearer(token))
      server.clock.advance(milliseconds: 1)
      let code = await code { () async throws(RPCError) in
        try await channel.unary(Auth.whoAmI, WhoAmIRequest(), bearer(token))
      }
      #expect(code == .unauthenticated)
      #expect(server.ran.count == 2)
    }
  }

  @Test("a valid token without the role is PERMISSION_DENIED, and a service may not administrate for an administrator")
  func denied() async throws {
    let server = GuardedServer()
    try await server.run { channel in
      let admin = #"["admin"]"#
      let cases: [(String, StatusCode)] = [
        (TestIssuer.claims(), .permissionDenied),
        (TestIssuer.claims(roles: #"["nonsense"]"#), .permissionDenied),
        (TestIssuer.claims(roles: admin, more: #","act":{"sub":"service:transfer"}"#), .permissionDenied),
        (TestIssuer.claims(sub: "service:transfer", roles: admin), .permissionDenied),
        (TestIssuer.claims(roles: admin), .ok),
      ]
      for (claims, expected) in cases {
        let token = try server.issuer.token(claims)
        let code = await code { () async throws(RPCError) in
          try await channel.unary(Auth.listUsers, ListUsersRequest(), bearer(token))
        }
        #expect(code == expected, "\(claims)")
      }
      #expect(server.ran.count == 1)
    }
  }

  @Test("health needs no token; a trace that comes with a call goes on in it")
  func openAndTraced() async throws {
    let server = GuardedServer()
    try await server.run { channel in
      let health = try await channel.unary(Health.check, HealthCheckRequest(), .timeout(.seconds(60)))
      #expect(health.status == .serving)
      var options = bearer(try server.issuer.token())
      options.metadata.add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
      let user = try await channel.unary(Auth.whoAmI, WhoAmIRequest(), options)
      #expect(user.userName == "0af7651916cd43dd8448eb211c80319c")
    }
  }
}

@Suite("Keys of access tokens")
struct KeyTests {
  private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  @Test("an unknown key is asked for at once, then at most every five seconds; a new key is found")
  func refresh() async throws {
    let clock = TestClock()
    let fetches = Counter()
    let (old, new) = (TestIssuer(), TestIssuer(keyID: "key-2"))
    let served = Mutex(old.jwks)
    let verifier = TokenVerifier(logger: logger, now: { clock.now }) { () async throws(RPCError) in
      fetches.add()
      return served.withLock { $0 }
    }
    _ = try await verifier.verify(try old.token())
    let newToken = try new.token()
    for _ in 0..<10 {
      #expect(await code { () async throws(RPCError) in try await verifier.verify(newToken) } == .unauthenticated)
    }
    #expect(fetches.count == 1)
    served.withLock { $0 = new.jwks }
    clock.advance(milliseconds: 5000)
    #expect(try await verifier.verify(newToken).id == "usr_1")
    #expect(fetches.count == 2)
    // The old key was withdrawn: its tokens are forgotten, remembered or not.
    let oldToken = try old.token()
    #expect(await code { () async throws(RPCError) in try await verifier.verify(oldToken) } == .unauthenticated)
  }

  @Test("while auth cannot be reached tokens are UNAVAILABLE, not refused; then they work")
  func unavailable() async throws {
    let clock = TestClock()
    let issuer = TestIssuer()
    let isUp = Mutex(false)
    let verifier = TokenVerifier(logger: logger, now: { clock.now }) { () async throws(RPCError) in
      guard isUp.withLock({ $0 }) else { throw RPCError(.unavailable, "no connection") }
      return issuer.jwks
    }
    let token = try issuer.token()
    #expect(await code { () async throws(RPCError) in try await verifier.verify(token) } == .unavailable)
    isUp.withLock { $0 = true }
    clock.advance(milliseconds: 250)
    #expect(try await verifier.verify(token).id == "usr_1")
  }

  @Test("a hundred calls at once ask for the keys once")
  func singleFlight() async throws {
    let fetches = Counter()
    let issuer = TestIssuer()
    let clock = TestClock()
    let verifier = TokenVerifier(logger: logger, now: { clock.now }) { () async throws(RPCError) in
      fetches.add()
      return issuer.jwks
    }
    let token = try issuer.token()
    await withTaskGroup(of: StatusCode.self) { group in
      for _ in 0..<100 {
        group.addTask { await code { () async throws(RPCError) in try await verifier.verify(token) } }
      }
      for await code in group { #expect(code == .ok) }
    }
    #expect(fetches.count == 1)
  }

  @Test("a key set's symmetric and RSA keys are never used")
  func onlyEd25519() async throws {
    let clock = TestClock()
    let issuer = TestIssuer()
    let verifier = TokenVerifier(logger: logger, now: { clock.now }) { () async throws(RPCError) in
      #"{"keys":[{"kty":"RSA","alg":"RS256","kid":"key-1","n":"AQAB","e":"AQAB"}]}"#
    }
    let token = try issuer.token()
    #expect(await code { () async throws(RPCError) in try await verifier.verify(token) } == .unauthenticated)
  }

  @Test("remembered tokens are bounded, and those in use stay")
  func bounded() {
    let tokens = VerifiedTokens()
    // The token that a caller came with is what is compared, not the hash alone.
    func named(_ token: String) -> Caller { Caller(id: "usr_1", name: "Ada", roles: [], rawToken: token) }
    func find(_ token: String) -> VerifiedCaller? {
      Array(token.utf8).withUnsafeBytes { tokens.find($0) }
    }
    tokens.remember("used", named("used"))
    for number in 0..<(VerifiedTokens.generationSize * 5) {
      tokens.remember("token \(number)", named("token \(number)"))
      #expect(find("used") != nil)
    }
    let held = (0..<(VerifiedTokens.generationSize * 5)).count { find("token \($0)") != nil }
    #expect(held <= VerifiedTokens.generationSize * 2)
    tokens.forgetAll()
    #expect(find("used") == nil)
  }
}
