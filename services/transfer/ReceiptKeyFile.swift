// The key that receipts are signed with: Ed25519, in DATA/receipt.key for its owner alone, known to others as a JWK
// (RFC 8037) under its thumbprint (RFC 7638).
import Crypto
import FerryAPI
import ServiceKit

struct ReceiptSigner: Sendable {
  static let keyBytes = 32

  private let key: Curve25519.Signing.PrivateKey
  /// RFC 7638 section 3: the SHA-256 of the required members, in lexical order, without spaces.
  let kid: String
  /// The public key alone.
  let jwk: String

  /// The file is made on first use.
  init(keyFile path: String) throws {
    let bytes = try PrivateFile.readOrMake(path, maximumSize: Self.keyBytes) { SystemRandom.bytes(Self.keyBytes) }
    guard bytes.count == Self.keyBytes else {
      throw ServiceFailure(
        "The receipt key \(path) has \(bytes.count) bytes instead of \(Self.keyBytes).",
        nextStep: "Restore it from a backup; receipts signed with it are checked with its public half.")
    }
    try self.init(seed: bytes)
  }

  init(seed: [UInt8]) throws {
    key = try Curve25519.Signing.PrivateKey(rawRepresentation: seed)
    let x = Base64URL.encode(key.publicKey.rawRepresentation)
    kid = Base64URL.encode(SHA256.hash(data: Array(#"{"crv":"Ed25519","kty":"OKP","x":"\#(x)"}"#.utf8)))
    jwk = #"{"kty":"OKP","crv":"Ed25519","x":"\#(x)","alg":"EdDSA","use":"sig","kid":"\#(kid)"}"#
  }

  /// A JSON Web Signature (RFC 7515 section 5.1) over `payload`.
  func sign(_ payload: [UInt8]) throws -> SignedReceipt {
    var signed = SignedReceipt()
    signed.protected = Base64URL.encode(#"{"alg":"EdDSA","kid":"\#(kid)"}"#.utf8)
    signed.payload = Base64URL.encode(payload)
    signed.signature = Base64URL.encode(try key.signature(for: Array("\(signed.protected).\(signed.payload)".utf8)))
    return signed
  }
}
