// What an access token says (RFC 7519, RFC 8693 section 4.1): written by auth, read by every service's TokenVerifier.
import FerryAPI
import JWTKit

public struct AccessTokenClaims: JWTPayload, Equatable {
  public static let issuer = "fileferry"
  public static let audience = "fileferry"
  /// Bytes of a whole token, at most.
  public static let maximumTokenSize = 4096

  public struct Actor: Codable, Sendable, Equatable {
    /// "service:transfer"
    public var sub: String
  }

  public var iss = Self.issuer
  public var aud = Self.audience
  /// A user's id, or "service:transfer".
  public var sub: String
  public var name: String
  public var email: String
  public var roles: [String]
  /// Seconds since 1970 (NumericDate).
  public var exp: Int64
  public var iat: Int64
  public var nbf: Int64?
  public var jti: String
  /// The session it belongs to; none for tokens of services.
  public var sid: String?
  public var act: Actor?

  public init(
    subject: String, name: String, email: String = "", roles: [Role] = [], issuedAt: Int64, expiresAt: Int64,
    id: String, session: String? = nil, actingService: String? = nil
  ) {
    sub = subject
    self.name = name
    self.email = email
    self.roles = roles.compactMap(\.claim)
    exp = expiresAt
    iat = issuedAt
    jti = id
    sid = session
    act = actingService.map { Actor(sub: Self.subject(ofService: $0)) }
  }

  /// "service:transfer"
  public static func subject(ofService name: String) -> String { Caller.servicePrefix + name }

  /// JWTKit calls this with no clock to pass in, so the times are TokenVerifier's to check.
  public func verify(using algorithm: some JWTAlgorithm) async throws {}
}
