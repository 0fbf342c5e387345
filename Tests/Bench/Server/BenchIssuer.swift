// A sign-in service in miniature: one Ed25519 key and one token of the form that auth issues (RFC 7519, RFC 8037).
import Crypto
import DocumentStore
import FoundationEssentials
import ServiceKit

struct BenchIssuer: Sendable {
  /// A JWK Set with the one key.
  let keySet: String
  let token: String

  private static let lifetime: Int64 = 24 * 3600

  init() throws {
    let key = Curve25519.Signing.PrivateKey()
    let x = Base64URL.encode(Array(key.publicKey.rawRepresentation))
    keySet = #"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"bench","x":"\#(x)"}]}"#
    let now = SystemTime.now() / 1000
    let header = #"{"alg":"EdDSA","typ":"JWT","kid":"bench"}"#
    let claims =
      #"{"iss":"fileferry","aud":"fileferry","sub":"usr_bench","name":"Bench","email":"bench@example.com","#
      + #""roles":["requester"],"exp":\#(now + Self.lifetime),"iat":\#(now),"jti":"tok_bench"}"#
    let input = "\(Base64URL.encode(Array(header.utf8))).\(Base64URL.encode(Array(claims.utf8)))"
    token = "\(input).\(Base64URL.encode(Array(try key.signature(for: Data(input.utf8)))))"
  }
}
