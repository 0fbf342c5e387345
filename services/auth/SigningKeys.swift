// The Ed25519 keys of access tokens: one that signs, made at the first start, and perhaps an earlier one whose tokens
// still count. To change keys, stop the service and rename signing.key to signing.previous.key.
import Crypto
import CryptoExtras
import FoundationEssentials
import JWTKit
import ServiceKit

struct SigningKeys: Sendable {
  static let fileName = "signing.key"
  static let previousFileName = "signing.previous.key"
  private static let maximumFileSize = 4096

  /// Signs, under its thumbprint.
  let collection: JWTKeyCollection
  let keyID: JWKIdentifier
  /// All public keys, as a JWK Set document (RFC 7517 section 5, RFC 8037 section 2).
  let jwksJSON: String

  init(current: Curve25519.Signing.PrivateKey, previous: Curve25519.Signing.PublicKey? = nil) async {
    keyID = JWKIdentifier(string: Self.thumbprint(current.publicKey))
    collection = JWTKeyCollection()
    await collection.add(eddsa: EdDSA.PrivateKey(backing: current), kid: keyID)
    let keys = ([current.publicKey] + (previous.map { [$0] } ?? [])).map(Self.json)
    jwksJSON = #"{"keys":[\#(keys.joined(separator: ","))]}"#
  }

  init(folder: String) async throws(ServiceFailure) {
    let path = "\(folder)/\(Self.fileName)"
    let bytes = try PrivateFile.readOrMake(path, maximumSize: Self.maximumFileSize) {
      Array((Curve25519.Signing.PrivateKey().pemRepresentation + "\n").utf8)
    }
    let previousPath = "\(folder)/\(Self.previousFileName)"
    var previous: Curve25519.Signing.PublicKey?
    if PrivateFile.exists(previousPath) {
      let bytes = try PrivateFile.read(previousPath, maximumSize: Self.maximumFileSize)
      previous = try Self.key(bytes, path: previousPath).publicKey
    }
    await self.init(current: try Self.key(bytes, path: path), previous: previous)
  }

  private static func key(_ pem: [UInt8], path: String) throws(ServiceFailure) -> Curve25519.Signing.PrivateKey {
    do {
      return try Curve25519.Signing.PrivateKey(pemRepresentation: String(decoding: pem, as: UTF8.self))
    } catch {
      throw ServiceFailure(
        "The file \(path) is not an Ed25519 private key in PEM.",
        nextStep: "Restore it from a backup, or remove it: a new key is made and everybody signs in again.")
    }
  }

  /// A signed token.
  func sign(_ claims: AccessTokenClaims) async throws -> String { try await collection.sign(claims, kid: keyID) }

  /// RFC 7638, with the members that RFC 8037 section 2 asks for, in their order.
  static func thumbprint(_ key: Curve25519.Signing.PublicKey) -> String {
    let x = Base64URL.encode(key.rawRepresentation)
    return Base64URL.encode(SHA256.hash(data: Array(#"{"crv":"Ed25519","kty":"OKP","x":"\#(x)"}"#.utf8)))
  }

  private static func json(_ key: Curve25519.Signing.PublicKey) -> String {
    let x = Base64URL.encode(key.rawRepresentation)
    return #"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"\#(thumbprint(key))","x":"\#(x)"}"#
  }
}
