// Single sign-on against an identity provider that a test rules: who gets in, as whom, and what does not get anybody in. A
// real provider's program stands in Tests/Peers/test_sso.py.
import FerryAPI
import FoundationEssentials
import JWTKit
import RPC
import ServiceKit
import Synchronization
import Testing

@testable import AuthService

/// An OpenID provider without a network: it answers as a test has told it to.
final class FakeIdentityProvider: Sendable {
  static let issuer = "https://login.example.com/v2.0"
  static let settings: IdentityProviderSettings = {
    var settings = IdentityProviderSettings(
      id: "entra", name: "Microsoft", kind: .microsoft, issuer: issuer, clientID: "ferry", clientSecret: "s3 cret&")
    settings.roles = ["Ferry.Approver": [.approver], "g-ops": [.operator, .requester]]
    return settings
  }()

  struct State: Sendable {
    var key = ES256PrivateKey()
    var keyID = "one"
    /// What the ID token says beyond what it must; nil takes a claim away.
    var claims: [String: IDToken.Value?] = [
      "sub": .text("ada-1"), "name": .text("Ada Lovelace"), "preferred_username": .text("Ada@Example.com"),
      "email": .text("ada@example.com"), "groups": .texts(["g-ops", "g-all"]),
    ]
    var metadata = [
      "issuer": issuer, "authorization_endpoint": "\(issuer)/authorize", "token_endpoint": "\(issuer)/token",
      "jwks_uri": "\(issuer)/keys",
    ]
    var nonce = ""
    var now: Int64 = 0
    var status = 200
    var error: String?
    /// Instead of the token.
    var rawToken: String?
    var asked: [String] = []
    var form = ""
    var authorization = ""
  }
  let state = Mutex(State())

  func answer(_ request: ProviderRequest) async -> ProviderResponse {
    let path = String(request.url.dropFirst(Self.issuer.count))
    let now = state.withLock { state in
      state.asked.append(path)
      return state
    }
    switch path {
    case "/.well-known/openid-configuration": return Self.json(now.metadata)
    case "/keys":
      let point = now.key.publicKey.parameters
      return Self.json([
        "keys": [
          ["kty": "oct", "kid": "unknown kind", "k": "AAAA"],
          ["kty": "EC", "crv": "P-256", "kid": now.keyID, "x": point?.x ?? "", "y": point?.y ?? ""],
        ]
      ])
    case "/token":
      state.withLock {
        $0.form = request.form ?? ""
        $0.authorization = request.headers.first { $0.name == "Authorization" }?.value ?? ""
      }
      if let error = now.error { return Self.json(["error": error], status: now.status) }
      guard let token = try? await token(now) else { return Self.json(["error": "server_error"], status: 500) }
      return Self.json(["id_token": now.rawToken ?? token], status: now.status)
    default: return Self.json(["error": "not here"], status: 404)
    }
  }

  func token(_ now: State) async throws -> String {
    var claims: [String: IDToken.Value] = [
      "iss": .text(Self.issuer), "aud": .text("ferry"), "nonce": .text(now.nonce), "iat": .number(now.now),
      "exp": .number(now.now + 300),
    ]
    for (name, value) in now.claims { claims[name] = value }
    let keys = JWTKeyCollection()
    await keys.add(ecdsa: now.key, kid: .init(string: now.keyID))
    return try await keys.sign(IDToken(claims), kid: .init(string: now.keyID))
  }

  private static func json(_ value: some Encodable, status: Int = 200) -> ProviderResponse {
    ProviderResponse(status: status, body: Array((try? JSONEncoder().encode(value)) ?? Data()))
  }
}

extension TestAuth {
  static let redirect = "https://ferry.example.com/"

  func begin(_ provider: String = "entra", redirect: String = Self.redirect) async throws(RPCError)
    -> BeginSingleSignOnResponse
  {
    try await service.singleSignOn.begin(
      .with {
        $0.providerID = provider
        $0.redirectURI = redirect
      })
  }

  /// A person's whole way: there, and back with a code.
  func singleSignOn(
    _ prepare: (inout FakeIdentityProvider.State) -> Void = { _ in },
    _ change: (inout CompleteSingleSignOnRequest) -> Void = { _ in }
  ) async throws(RPCError) -> StoredUser {
    let begun = try await begin()
    let query = Self.query(begun.authorizationURL)
    provider.state.withLock { state in
      state.nonce = query["nonce"] ?? ""
      state.now = clock.now / 1000
      prepare(&state)
    }
    var request = CompleteSingleSignOnRequest()
    request.flow = begun.flow
    request.state = query["state"] ?? ""
    request.code = "a code"
    change(&request)
    return try await service.singleSignOn.complete(request)
  }

  static func query(_ url: String) -> [String: String] {
    let pairs = url.split(separator: "?").last?.split(separator: "&") ?? []
    return pairs.reduce(into: [:]) { found, pair in
      let parts = pair.split(separator: "=", maxSplits: 1)
      found[String(parts[0])] = String(parts.last ?? "").replacing("%20", with: " ")
    }
  }
}

@Suite("Single sign-on")
struct SingleSignOnTests {
  @Test("a person is sent to the provider with PKCE, a state and a nonce, each of them new every time")
  func address() async throws {
    try await TestAuth.run { auth in
      let (first, second) = (try await auth.begin(), try await auth.begin())
      #expect(first.authorizationURL.hasPrefix("\(FakeIdentityProvider.issuer)/authorize?"))
      let (one, two) = (TestAuth.query(first.authorizationURL), TestAuth.query(second.authorizationURL))
      #expect(one["response_type"] == "code" && one["client_id"] == "ferry" && one["code_challenge_method"] == "S256")
      #expect(one["redirect_uri"] == "https%3A%2F%2Fferry.example.com%2F" && one["scope"] == "openid profile email")
      for name in ["state", "nonce", "code_challenge"] {
        #expect(one[name]?.count == 43 && one[name] != two[name])
      }
      #expect(first.expiresAt?.unixMilliseconds == auth.clock.now + SingleSignOn.flowLifetime)
    }
  }

  @Test("who comes back is added with the name, mail and roles that the provider gives, and found again afterwards")
  func person() async throws {
    try await TestAuth.run { auth in
      let made = try await auth.singleSignOn()
      #expect(made.profile.userName == "ada@example.com" && made.profile.person?.name == "Ada Lovelace")
      #expect(made.profile.person?.email == "ada@example.com" && made.profile.roles == [.requester, .operator])
      let again = try await auth.singleSignOn {
        $0.claims["groups"] = .texts(["Ferry.Approver"])
        $0.claims["name"] = .text("Ada King")
      }
      #expect(again.id == made.id && again.profile.person?.name == "Ada King" && again.profile.roles == [.approver])
      // What it takes to prove that the code is ours went along, and the secret in form encoding (RFC 6749 section 2.3.1).
      let (form, authorization) = auth.provider.state.withLock { ($0.form, $0.authorization) }
      #expect(form.contains("grant_type=authorization_code&code=a%20code&redirect_uri=https%3A%2F%2Fferry.example.com%2F"))
      #expect(form.contains("code_verifier="))
      #expect(authorization == "Basic " + Data("ferry:s3%20cret%26".utf8).base64EncodedString())
    }
  }

  @Test("a local account of the same name or mail is never taken over: the person gets one of their own")
  func takeover() async throws {
    try await TestAuth.run { auth in
      // Its mail address is ada@example.com.
      let local = try await auth.create("ada", [.admin])
      let made = try await auth.singleSignOn { $0.claims["preferred_username"] = .text("Ada") }
      #expect(made.id != local.person?.id && made.profile.userName == "ada-2")
      #expect(made.profile.roles == [.requester, .operator])
      let other = try await auth.singleSignOn { $0.claims["sub"] = .text("another Ada") }
      #expect(other.id != made.id && other.profile.userName == "ada-3")
    }
  }

  @Test("no password opens an account that single sign-on made; a disabled one stays closed")
  func closed() async throws {
    try await TestAuth.run { auth in
      let made = try await auth.singleSignOn()
      #expect(await code { () async throws(RPCError) in try await auth.signIn("ada@example.com", "") } != .ok)
      #expect(await code { () async throws(RPCError) in try await auth.signIn("ada@example.com") } == .unauthenticated)
      _ = try await auth.update(made.profile) { $0.disabled = true }
      let again = try await auth.singleSignOn()
      #expect(again.profile.disabled)
    }
  }

  @Test("without a role there is no way in")
  func role() async throws {
    try await TestAuth.run { auth in
      let refusal = await failure { () async throws(RPCError) in
        try await auth.singleSignOn { $0.claims["groups"] = .texts(["g-all"]) }
      }
      #expect(refusal?.code == .permissionDenied && refusal?.told?.code == "NO_ROLE")
      let found = try await auth.users.find(name: "ada@example.com")
      #expect(found == nil)
    }
  }

  @Test("an ID token that does not hold gets nobody in", arguments: [
    ("iss", IDToken.Value.text("https://evil.example.com")), ("aud", .text("another")),
    ("aud", .texts(["ferry", "another"])), ("azp", .text("another")), ("nonce", .text("of another sign-in")),
    ("nonce", nil), ("exp", .number(1)), ("exp", nil), ("iat", nil), ("iat", .number(9_000_000_000)),
    ("nbf", .number(9_000_000_000)), ("sub", nil), ("sub", .text("")), ("sub", .number(1)),
    ("sub", .text(String(repeating: "x", count: 256))),
  ] as [(String, IDToken.Value?)])
  func claims(name: String, value: IDToken.Value?) async throws {
    try await TestAuth.run { auth in
      let refusal = await failure { () async throws(RPCError) in
        try await auth.singleSignOn { $0.claims[name] = .some(value) }
      }
      #expect(refusal?.code == .unauthenticated && refusal?.told?.code == "SSO_INVALID")
      let users = try await auth.users.list(limit: 10, after: "").users
      #expect(users.map(\.profile.userName) == ["admin"])
    }
  }

  @Test("a signature of another key, of none, or of a shared secret gets nobody in")
  func signatures() async throws {
    try await TestAuth.run { auth in
      _ = try await auth.singleSignOn()
      func refused(_ prepare: @Sendable (inout FakeIdentityProvider.State) -> Void) async -> Bool {
        await failure { () async throws(RPCError) in try await auth.singleSignOn(prepare) }?.told?.code == "SSO_INVALID"
      }
      var state = auth.provider.state.withLock { $0 }
      state.key = ES256PrivateKey()
      let forged = try await auth.provider.token(state)
      #expect(await refused { $0.rawToken = forged })
      let body = forged.split(separator: ".")[1]
      let none = Base64URL.encode(Array(#"{"alg":"none"}"#.utf8)) + ".\(body)."
      #expect(await refused { $0.rawToken = none })
      let keys = JWTKeyCollection()
      await keys.add(hmac: .init(from: String(repeating: "s3 cret&", count: 8)), digestAlgorithm: .sha256, kid: "one")
      let shared = try await keys.sign(IDToken(["sub": .text("ada-1")]), kid: "one")
      #expect(await refused { $0.rawToken = shared })
      #expect(await refused { $0.rawToken = "no.token" })
    }
  }

  @Test("a provider that changes its keys is followed, and asked for them no more often than every five seconds")
  func rotation() async throws {
    try await TestAuth.run { auth in
      _ = try await auth.singleSignOn()
      func change(_ id: String) {
        auth.provider.state.withLock { ($0.key, $0.keyID) = (ES256PrivateKey(), id) }
      }
      func asked() -> Int { auth.provider.state.withLock { $0.asked.count { $0 == "/keys" } } }
      change("two")
      #expect(await code { () async throws(RPCError) in try await auth.singleSignOn() } == .unauthenticated)
      #expect(asked() == 1)
      auth.clock.advance(OpenIDProvider.refreshInterval)
      _ = try await auth.singleSignOn()
      #expect(asked() == 2)
    }
  }

  @Test("what was begun elsewhere, altered, or too long ago can't be completed")
  func flows() async throws {
    try await TestAuth.run { auth in
      let other = try await auth.begin()
      func refusal(_ change: @escaping (inout CompleteSingleSignOnRequest) -> Void) async -> String? {
        await failure { () async throws(RPCError) in try await auth.singleSignOn({ _ in }, change) }?.told?.code
      }
      #expect(await refusal { $0.flow = other.flow } == "SSO_MISMATCH")
      #expect(await refusal { $0.state = "" } == "SSO_MISMATCH")
      #expect(await refusal { $0.flow = "" } == "SSO_EXPIRED")
      #expect(await refusal { $0.flow = String($0.flow.dropLast(2)) + "AA" } == "SSO_EXPIRED")
      #expect(await refusal { $0.code = "" } == "INVALID_ARGUMENT")
      #expect(await refusal { ($0.error, $0.errorDescription) = ("access_denied", "No\nthanks") } == "SSO_REFUSED")
      #expect(await refusal { _ in auth.clock.advance(SingleSignOn.flowLifetime) } == "SSO_EXPIRED")
    }
  }

  @Test("a provider that refuses, fails, or is another than was set up is told apart")
  func failures() async throws {
    try await TestAuth.run { auth in
      let refused = await failure { () async throws(RPCError) in
        try await auth.singleSignOn { ($0.status, $0.error) = (400, "invalid_grant") }
      }
      #expect(refused?.code == .unauthenticated && refused?.told?.code == "SSO_REFUSED")
      let broken = await failure { () async throws(RPCError) in
        try await auth.singleSignOn { ($0.status, $0.error) = (503, "x") }
      }
      #expect(broken?.code == .unavailable)
    }
    try await TestAuth.run { auth in
      auth.provider.state.withLock { $0.metadata["issuer"] = "https://evil.example.com" }
      #expect(await failure { () async throws(RPCError) in try await auth.begin() }?.told?.code == "SSO_MISCONFIGURED")
      auth.provider.state.withLock {
        $0.metadata["issuer"] = FakeIdentityProvider.issuer
        $0.metadata["token_endpoint"] = "http://login.example.com/token"
      }
      #expect(await failure { () async throws(RPCError) in try await auth.begin() }?.told?.code == "SSO_MISCONFIGURED")
      #expect(await code { () async throws(RPCError) in try await auth.begin("nobody") } == .notFound)
      for address in ["", "/here", "javascript:alert(1)", "https://a/#b", "https://a/ b"] {
        let code = await code { () async throws(RPCError) in try await auth.begin(redirect: address) }
        #expect(code == .invalidArgument)
      }
    }
  }
}

@Suite("Settings of identity providers")
struct IdentityProviderSettingsTests {
  private func load(_ json: String) throws -> [IdentityProviderSettings] {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ferry-idp-\(RandomID.make())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    _ = try PrivateFile.readOrMake("\(folder)/client.secret", maximumSize: 100) { Array("hush\n".utf8) }
    _ = try PrivateFile.readOrMake("\(folder)/file.json", maximumSize: 100_000) { Array(json.utf8) }
    return try IdentityProviderSettings.load("\(folder)/file.json")
  }

  private func entry(_ more: String) -> String {
    #"{"providers":[{"id":"sso","issuer":"https://login.example.com","clientId":"ferry"\#(more)}]}"#
  }

  @Test("what is written down is read, with the usual scopes and claims where none are named")
  func read() throws {
    let found = try #require(
      try load(
        entry(
          #","name":"AWS","kind":"aws","clientSecretFile":"client.secret","roles":{"g":["operator","admin"]},"#
            + #""defaultRoles":["requester"]"#)
      ).first)
    #expect(found.name == "AWS" && found.kind == .aws && found.clientSecret == "hush")
    #expect(found.scopes == ["openid", "profile", "email"] && found.roleClaims == ["roles", "groups"])
    #expect(found.roles(for: ["g", "x"]) == [.requester, .operator, .admin] && found.roles(for: []) == [.requester])
  }

  @Test("a mistake is told with what to do", arguments: [
    ("{", "no JSON"), (#"{"providers":[{"id":"a"}]}"#, "lacks"), (#"{"providers":[{"id":1}]}"#, "wrong type"),
    (#"{"providers":[{"id":"A B","issuer":"https://x","clientId":"y"}]}"#, "usable id"),
    (#"{"providers":[{"id":"a","issuer":"http://login.example.com","clientId":"y"}]}"#, "https"),
    (#"{"providers":[{"id":"a","issuer":"https://x","clientId":""}]}"#, "clientId"),
    (#"{"providers":[{"id":"a","issuer":"https://x","clientId":"y"}]}"#, "gives nobody a role"),
    (#"{"providers":[{"id":"a","issuer":"https://x","clientId":"y","kind":"ldap"}]}"#, "unknown kind"),
    (#"{"providers":[{"id":"a","issuer":"https://x","clientId":"y","defaultRoles":["king"]}]}"#, "king"),
    (#"{"providers":[{"id":"a","issuer":"https://x","clientId":"y","clientSecretFile":"none"}]}"#, "can't be opened"),
  ])
  func mistakes(json: String, says: String) {
    #expect { _ = try self.load(json) } throws: { error in
      guard let failure = error as? ServiceFailure else { return false }
      return failure.message.contains(says) && !failure.nextStep.isEmpty
    }
  }

  @Test("secrets go over TLS or stay on this machine")
  func addresses() {
    for good in ["https://a", "http://127.0.0.1:9400", "http://localhost/x", "http://[::1]:80/x"] {
      #expect(SecureAddress.isAllowed(good))
    }
    for bad in ["", "https://", "http://a", "http://127.0.0.1.evil.com", "http://localhost@evil.com", "ftp://a", "https://a b"] {
      #expect(!SecureAddress.isAllowed(bad))
    }
  }
}
