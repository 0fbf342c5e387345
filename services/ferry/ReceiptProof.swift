// Checking a receipt: a flattened JSON Web Signature (RFC 7515 section 7.2.2) by Ed25519 (RFC 8037), with the public key as a
// JSON Web Key. Nothing is trusted that the receipt says of its own key.
import Crypto
import FerryAPI
import FoundationEssentials

enum ReceiptProof {
  struct Refusal: Error, CustomStringConvertible {
    let reason: String
    var description: String { "The receipt cannot be used: \(reason)." }
    init(_ reason: String) { self.reason = reason }
  }

  private struct Proof: Decodable {
    let protected: String
    let payload: String
    let signature: String
  }

  private struct Header: Decodable {
    let alg: String
    let kid: String?
  }

  private struct Key: Decodable {
    let kty: String
    let crv: String
    let x: String
  }

  /// What a receipt says, as the server sent it; its signature is not looked at.
  static func payload(_ signed: SignedReceipt) throws -> Receipt {
    guard let bytes = base64URL(signed.payload) else { throw Refusal("its payload is not base64url") }
    return try Receipt(json: String(decoding: bytes, as: UTF8.self))
  }

  /// The payload's JSON text, if the signature is genuine.
  static func verify(_ proof: String, publicKey: String) throws(Refusal) -> String {
    // What is malformed is told by the guards; the decoder's own words would say nothing more.
    guard let parts = try? JSONDecoder().decode(Proof.self, from: Data(proof.utf8)) else {
      throw Refusal("the file is not a receipt: it has no protected, payload and signature")
    }
    guard let key = try? JSONDecoder().decode(Key.self, from: Data(publicKey.utf8)), key.kty == "OKP", key.crv == "Ed25519",
      let raw = base64URL(key.x), let verifier = try? Curve25519.Signing.PublicKey(rawRepresentation: raw)
    else { throw Refusal("the key file does not hold an Ed25519 public key as a JSON Web Key") }
    guard let headerBytes = base64URL(parts.protected),
      let header = try? JSONDecoder().decode(Header.self, from: headerBytes), header.alg == "EdDSA"
    else { throw Refusal("it is not signed by EdDSA") }
    if let kid = header.kid, kid != thumbprint(key.x) {
      throw Refusal("it is signed by another key (\(kid)) than the one that you named (\(thumbprint(key.x)))")
    }
    guard let signature = base64URL(parts.signature),
      verifier.isValidSignature(signature, for: Data("\(parts.protected).\(parts.payload)".utf8))
    else { throw Refusal("the signature does not fit: the receipt was changed, or signed by another key") }
    guard let payload = base64URL(parts.payload), let text = String(data: payload, encoding: .utf8) else {
      throw Refusal("the payload is not text")
    }
    return text
  }

  /// The key's RFC 7638 thumbprint: SHA-256 of its required members in order.
  private static func thumbprint(_ x: String) -> String {
    let digest = SHA256.hash(data: Data(#"{"crv":"Ed25519","kty":"OKP","x":"\#(x)"}"#.utf8))
    return Data(digest).base64EncodedString().unpaddedURL
  }

  private static func base64URL(_ text: String) -> Data? {
    guard text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "=") }) else {
      return nil
    }
    var standard = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
    while standard.count % 4 != 0 { standard += "=" }
    return Data(base64Encoded: standard)
  }
}

extension String {
  fileprivate var unpaddedURL: String {
    String(compactMap { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 == "=" ? nil : $0 })
  }
}
