// An ID token's claims (OpenID Connect Core 1.0 section 2), and whether they hold for us (section 3.1.3.7). The signature is
// the key collection's affair.
import Crypto
import DocumentStore
import JWTKit
import ServiceKit

struct IDToken: JWTPayload, Equatable {
  /// How far the provider's clock may be off.
  static let leeway: Int64 = 60
  /// Signatures with a private key, of the kinds that providers use.
  static let algorithms: Set<String> = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
  /// Core section 2.
  static let maximumSubjectSize = 255

  struct Header: Decodable {
    var alg: String?
    var crit: [String]?
  }

  enum Value: Codable, Sendable, Equatable {
    case text(String)
    case texts([String])
    case number(Int64)
    case flag(Bool)
    /// Of a form that is not used here.
    case other

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let text = try? container.decode(String.self) {
        self = .text(text)
      } else if let flag = try? container.decode(Bool.self) {
        self = .flag(flag)
      } else if let number = try? container.decode(Int64.self) {
        self = .number(number)
      } else if let texts = try? container.decode([String].self) {
        self = .texts(texts)
      } else {
        self = .other
      }
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .text(let text): try container.encode(text)
      case .texts(let texts): try container.encode(texts)
      case .number(let number): try container.encode(number)
      case .flag(let flag): try container.encode(flag)
      case .other: try container.encodeNil()
      }
    }
  }

  var claims: [String: Value]

  init(_ claims: [String: Value]) { self.claims = claims }
  init(from decoder: any Decoder) throws { claims = try [String: Value](from: decoder) }
  func encode(to encoder: any Encoder) throws { try claims.encode(to: encoder) }

  /// The claims are checked by `flaw`, which knows what they must be.
  func verify(using algorithm: some JWTAlgorithm) throws {}

  /// A text of one line; empty if it is not there.
  func text(_ name: String) -> String {
    guard case .text(let text) = claims[name] else { return "" }
    return OpenIDProvider.printable(text)
  }

  /// One text or several.
  func texts(_ name: String) -> [String] {
    switch claims[name] {
    case .text(let text): [text]
    case .texts(let texts): texts
    default: []
    }
  }

  private func number(_ name: String) -> Int64? {
    guard case .number(let number) = claims[name] else { return nil }
    return number
  }

  var subject: String {
    guard case .text(let text) = claims["sub"] else { return "" }
    return text
  }

  /// Empty if the provider says that it has not made sure of it.
  var email: String { claims["email_verified"] == .flag(false) ? "" : text("email") }

  /// Why the claims don't hold; nil if they do.
  func flaw(issuer: String, audience: String, nonce: String, now: UnixMilliseconds) -> String? {
    let seconds = now / 1000
    let audiences = texts("aud")
    if claims["iss"] != .text(issuer) { return "its ID token is of another issuer" }
    if !audiences.contains(audience) { return "its ID token is for another application" }
    if audiences.count > 1 || claims["azp"] != nil, claims["azp"] != .text(audience) {
      return "its ID token was given to another application"
    }
    guard let expires = number("exp"), seconds < expires.addingReportingOverflow(Self.leeway).partialValue else {
      return "its ID token has expired"
    }
    guard let issued = number("iat"), issued <= seconds + Self.leeway, number("nbf") ?? 0 <= seconds + Self.leeway else {
      return "its ID token is not valid yet: the clocks differ"
    }
    if claims["nonce"] != .text(nonce) { return "its ID token was not made for this sign-in" }
    if subject.isEmpty || subject.utf8.count > Self.maximumSubjectSize { return "its ID token names nobody" }
    return nil
  }
}

/// Proof Key for Code Exchange (RFC 7636), method S256.
enum PKCE {
  static func challenge(of verifier: String) -> String { Base64URL.encode(SHA256.hash(data: Array(verifier.utf8))) }
}
