// Makes access tokens: for a person's session, for a service, and for a service that acts for a person.
import DocumentStore
import FerryAPI
import RPC
import ServiceKit

struct AccessTokens: Sendable {
  static let lifetime: UnixMilliseconds = 15 * 60_000

  let keys: SigningKeys
  var now: @Sendable () -> UnixMilliseconds = SystemTime.now

  func issue(for user: User, session: String) async throws(RPCError) -> AccessToken {
    try await issue(user, session: session, actingService: nil)
  }

  func issue(for user: User, actingService: String) async throws(RPCError) -> AccessToken {
    try await issue(user, session: nil, actingService: actingService)
  }

  func issue(forService service: String) async throws(RPCError) -> AccessToken {
    let subject = AccessTokenClaims.subject(ofService: service)
    return try await sign { issuedAt, expiresAt in
      AccessTokenClaims(
        subject: subject, name: service, issuedAt: issuedAt, expiresAt: expiresAt, id: RandomID.make(prefix: "tok_"))
    }
  }

  private func issue(_ user: User, session: String?, actingService: String?) async throws(RPCError) -> AccessToken {
    let person = user.person ?? Person()
    return try await sign { issuedAt, expiresAt in
      AccessTokenClaims(
        subject: person.id, name: person.name, email: person.email, roles: user.roles, issuedAt: issuedAt,
        expiresAt: expiresAt, id: RandomID.make(prefix: "tok_"), session: session, actingService: actingService)
    }
  }

  private func sign(
    _ claims: (_ issuedAt: Int64, _ expiresAt: Int64) -> AccessTokenClaims
  ) async throws(RPCError) -> AccessToken {
    let issuedAt = now() / 1000
    let expiresAt = issuedAt + Self.lifetime / 1000
    var token = AccessToken()
    do { token.accessToken = try await keys.sign(claims(issuedAt, expiresAt)) } catch {
      throw .fault("The access token could not be signed.")
    }
    token.expiresAt = Timestamp(unixMilliseconds: expiresAt * 1000)
    guard token.accessToken.utf8.count <= AccessTokenClaims.maximumTokenSize else {
      throw .fault("The access token would be too long.", next: "Shorten the user's name and email address.")
    }
    return token
  }
}
