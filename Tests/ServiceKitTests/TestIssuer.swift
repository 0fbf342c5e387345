// Makes access tokens by hand, good ones and every kind of bad one, without the code under test.
import Crypto
import FoundationEssentials
import Synchronization

@testable import ServiceKit

/// A wall clock that a test turns.
final class TestClock: Sendable {
  static let start: Int64 = 1_800_000_000_000
  private let time = Mutex(start)
  var now: Int64 { time.withLock { $0 } }
  func advance(milliseconds: Int64) { time.withLock { $0 += milliseconds } }
}

struct TestIssuer {
  var key = Curve25519.Signing.PrivateKey()
  var keyID = "key-1"

  var jwks: String {
    let x = Base64URL.encode(key.publicKey.rawRepresentation)
    return #"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"\#(keyID)","x":"\#(x)"}]}"#
  }

  static let second = TestClock.start / 1000

  static func claims(
    iss: String = "fileferry", aud: String = "fileferry", sub: String = "usr_1", roles: String = #"["requester"]"#,
    exp: Int64 = second + 900, iat: Int64 = second, more: String = ""
  ) -> String {
    #"{"iss":"\#(iss)","aud":"\#(aud)","sub":"\#(sub)","name":"Ada Lovelace","email":"ada@example.com","#
      + #""roles":\#(roles),"exp":\#(exp),"iat":\#(iat),"jti":"tok_1"\#(more)}"#
  }

  func header(alg: String = "EdDSA", more: String = "") -> String {
    #"{"alg":"\#(alg)","typ":"JWT","kid":"\#(keyID)"\#(more)}"#
  }

  func token(_ claims: String = TestIssuer.claims(), header: String? = nil) throws -> String {
    try signed(header ?? self.header(), claims) { Array(try key.signature(for: Data($0))) }
  }

  func signed(_ header: String, _ claims: String, _ sign: ([UInt8]) throws -> [UInt8]) rethrows -> String {
    let input = "\(Base64URL.encode(Array(header.utf8))).\(Base64URL.encode(Array(claims.utf8)))"
    return "\(input).\(Base64URL.encode(try sign(Array(input.utf8))))"
  }
}
