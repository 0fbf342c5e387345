// One identity provider as a relying party sees it (OpenID Connect Core 1.0, authorization code flow): its metadata and keys,
// fetched when they are needed and kept for a while; the address to send people to; and the code that they come back with
// turned into verified claims.
import DocumentStore
import FoundationEssentials
import JWTKit
import Logging
import RPC
import ServiceKit
import Synchronization

final class OpenIDProvider: Sendable {
  /// How long metadata and keys are used before they are asked for again.
  static let keptFor: UnixMilliseconds = 3600_000
  /// Keys are asked for at most this often on account of tokens that name an unknown one.
  static let refreshInterval: UnixMilliseconds = 5000
  static let maximumTokenSize = 64 << 10

  typealias Exchange = @Sendable (ProviderRequest) async throws(ExchangeError) -> ProviderResponse

  /// OpenID Connect Discovery 1.0 section 3, as far as it is used.
  private struct Metadata: Decodable, Sendable {
    var issuer: String
    var authorizationEndpoint: String
    var tokenEndpoint: String
    var jwksURI: String
    var tokenEndpointAuthMethods: [String]?

    enum CodingKeys: String, CodingKey {
      case issuer
      case authorizationEndpoint = "authorization_endpoint"
      case tokenEndpoint = "token_endpoint"
      case jwksURI = "jwks_uri"
      case tokenEndpointAuthMethods = "token_endpoint_auth_methods_supported"
    }
  }

  /// RFC 6749 sections 5.1 and 5.2.
  private struct TokenAnswer: Decodable {
    var idToken: String?
    var error: String?
    var errorDescription: String?

    enum CodingKeys: String, CodingKey {
      case idToken = "id_token"
      case error
      case errorDescription = "error_description"
    }
  }

  private struct Known<Value: Sendable>: Sendable {
    var value: Value
    var at: UnixMilliseconds
  }
  private struct State {
    var metadata: Known<Metadata>?
    var keys: Known<JWTKeyCollection>?
  }

  let settings: IdentityProviderSettings
  private let exchange: Exchange
  private let logger: Logger
  private let now: @Sendable () -> UnixMilliseconds
  private let state = Mutex(State())

  init(
    _ settings: IdentityProviderSettings, logger: Logger, now: @escaping @Sendable () -> UnixMilliseconds,
    exchange: @escaping Exchange
  ) {
    (self.settings, self.logger, self.now, self.exchange) = (settings, logger, now, exchange)
  }

  // MARK: The way there

  /// Where to send a person (Core section 3.1.2.1, RFC 7636 section 4.3).
  func authorizationURL(
    state: String, nonce: String, verifier: String, redirectURI: String
  ) async throws(RPCError) -> String {
    let endpoint = try await metadata().authorizationEndpoint
    let query = FormText.encode([
      ("response_type", "code"), ("client_id", settings.clientID), ("redirect_uri", redirectURI),
      ("scope", settings.scopes.joined(separator: " ")), ("state", state), ("nonce", nonce),
      ("code_challenge", PKCE.challenge(of: verifier)), ("code_challenge_method", "S256"),
    ])
    return endpoint + (endpoint.contains("?") ? "&" : "?") + query
  }

  // MARK: The way back

  /// What the provider says of the person who came back with a code (Core sections 3.1.3 and 3.1.3.7).
  func claims(code: String, verifier: String, redirectURI: String, nonce: String) async throws(RPCError) -> IDToken {
    let metadata = try await metadata()
    var form = [
      ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirectURI), ("code_verifier", verifier),
    ]
    var headers = [
      (name: "Content-Type", value: "application/x-www-form-urlencoded"), (name: "Accept", value: "application/json"),
    ]
    if let secret = settings.clientSecret, metadata.tokenEndpointAuthMethods?.contains("client_secret_basic") ?? true {
      // RFC 6749 section 2.3.1: both parts in form encoding.
      let pair = FormText.encode(settings.clientID) + ":" + FormText.encode(secret)
      headers.append((name: "Authorization", value: "Basic " + Data(pair.utf8).base64EncodedString()))
    } else {
      form.append(("client_id", settings.clientID))
      if let secret = settings.clientSecret { form.append(("client_secret", secret)) }
    }
    let response = try await send(
      ProviderRequest(url: metadata.tokenEndpoint, headers: headers, form: FormText.encode(form)))
    let answer: TokenAnswer? = try? decode(response)  // what is no JSON is told below with its status
    guard response.status == 200, let token = answer?.idToken else {
      let error = Self.printable(answer?.error ?? "HTTP \(response.status)")
      logger.notice(
        "an identity provider refused a code",
        metadata: [
          "provider": .string(settings.id), "error": .string(error),
          "description": .string(Self.printable(answer?.errorDescription ?? "")),
        ])
      guard response.status < 500 else { throw unreachable("it answered with HTTP \(response.status)") }
      throw .told(
        .unauthenticated, "SSO_REFUSED", "\(settings.name) did not confirm the sign-in: \(error).",
        next: error == "invalid_client"
          ? "Tell an administrator: the client id or its secret is not what the provider knows." : "Sign in again.")
    }
    return try await verified(token, nonce: nonce)
  }

  private func verified(_ token: String, nonce: String) async throws(RPCError) -> IDToken {
    func refused(_ why: String) -> RPCError {
      logger.warning(
        "an ID token was refused", metadata: ["provider": .string(settings.id), "reason": .string(why)])
      return .told(
        .unauthenticated, "SSO_INVALID", "What \(settings.name) says of you can't be trusted: \(why).",
        next: "Sign in again; if it stays so, tell an administrator.")
    }
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    guard token.utf8.count <= Self.maximumTokenSize, parts.count == 3, let header = Base64URL.decode(parts[0]),
      let fields = try? JSONDecoder().decode(IDToken.Header.self, from: Data(header))
    else { throw refused("its ID token is malformed") }
    // RFC 8725 section 3.1: only signatures with a private key, whatever the token names.
    guard let algorithm = fields.alg, IDToken.algorithms.contains(algorithm), fields.crit == nil else {
      throw refused("its ID token is not signed as it must be")
    }
    var claims: IDToken?
    for attempt in 0..<2 {
      let keys = try await keys(anew: attempt > 0)
      claims = try? await keys.verify(token, as: IDToken.self)  // why it fails is of no use to the person
      if claims != nil || !mayRefreshKeys { break }
    }
    guard let claims else { throw refused("the signature of its ID token is not valid") }
    if let why = claims.flaw(issuer: settings.issuer, audience: settings.clientID, nonce: nonce, now: now()) {
      throw refused(why)
    }
    return claims
  }

  // MARK: Metadata and keys

  private func metadata() async throws(RPCError) -> Metadata {
    if let known = state.withLock({ $0.metadata }), now() - known.at < Self.keptFor { return known.value }
    let base = settings.issuer.hasSuffix("/") ? String(settings.issuer.dropLast()) : settings.issuer
    let found: Metadata = try decode(
      try await send(get(base + "/.well-known/openid-configuration")), what: "its metadata")
    // Discovery section 4.3: or another issuer could stand in for it.
    guard found.issuer == settings.issuer else {
      throw unusable("its metadata are of the issuer \(Self.printable(found.issuer)), not of \(settings.issuer)")
    }
    guard [found.authorizationEndpoint, found.tokenEndpoint, found.jwksURI].allSatisfy(SecureAddress.isAllowed) else {
      throw unusable("its metadata name an address without TLS")
    }
    let known = Known(value: found, at: now())
    state.withLock { $0.metadata = known }
    return found
  }

  /// Whether keys may be asked for again although there are some.
  private var mayRefreshKeys: Bool {
    let (now, at) = (now(), state.withLock { $0.keys?.at })
    return at.map { now - $0 >= Self.refreshInterval } ?? true
  }

  private func keys(anew: Bool) async throws(RPCError) -> JWTKeyCollection {
    if !anew, let known = state.withLock({ $0.keys }), now() - known.at < Self.keptFor { return known.value }
    let set: KeySet = try decode(try await send(get(try await metadata().jwksURI)), what: "its keys")
    let collection = JWTKeyCollection()
    for key in set.keys.compactMap(\.key) where key.keyIdentifier != nil {
      // A key of a kind that is not known here is none for us.
      _ = try? await collection.add(jwk: key)
    }
    let known = Known(value: collection, at: now())
    state.withLock { $0.keys = known }
    return collection
  }

  /// RFC 7517 section 5: keys that are not understood are passed over.
  private struct KeySet: Decodable {
    struct Entry: Decodable {
      let key: JWK?
      init(from decoder: any Decoder) throws { key = try? JWK(from: decoder) }
    }
    var keys: [Entry]
  }

  private func get(_ url: String) -> ProviderRequest { ProviderRequest(url: url) }

  private func send(_ request: ProviderRequest) async throws(RPCError) -> ProviderResponse {
    do throws(ExchangeError) { return try await exchange(request) } catch {
      throw unreachable(error.message)
    }
  }

  private func decode<Value: Decodable>(_ response: ProviderResponse, what: String = "") throws(RPCError) -> Value {
    guard response.status == 200 || what.isEmpty else {
      throw unreachable("it answered HTTP \(response.status) when asked for \(what)")
    }
    do { return try JSONDecoder().decode(Value.self, from: Data(response.body)) } catch {
      throw unusable("\(what) can't be read")
    }
  }

  private func unreachable(_ why: String) -> RPCError {
    logger.warning("an identity provider did not answer", metadata: ["provider": .string(settings.id), "error": .string(why)])
    return .unavailable(
      "\(settings.name) can't be asked: \(why)", next: "Try again in a moment, or sign in with a password.")
  }

  private func unusable(_ why: String) -> RPCError {
    logger.error("an identity provider can't be used", metadata: ["provider": .string(settings.id), "error": .string(why)])
    return .precondition(
      "\(settings.name) can't be used: \(why).", next: "Tell an administrator: its settings need a look.",
      problem: "SSO_MISCONFIGURED")
  }

  /// What a provider or a browser says, fit to be shown: a short text without control characters.
  static func printable(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }).prefix(200))
  }
}

/// application/x-www-form-urlencoded (WHATWG URL), with everything but unreserved characters escaped.
enum FormText {
  static func encode(_ pairs: [(String, String)]) -> String {
    pairs.map { encode($0) + "=" + encode($1) }.joined(separator: "&")
  }

  static func encode(_ text: String) -> String {
    var output = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        output.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        output += digits.count == 1 ? "%0" + digits : "%" + digits
      }
    }
    return output
  }
}
