// The pin of a server's public key, as libcurl takes it and people copy it.
import Crypto
import Transport

/// "sha256//" and the base64 of the SHA-256 of the SubjectPublicKeyInfo (CURLOPT_PINNEDPUBLICKEY).
struct FTPPin: Sendable, Equatable {
  let text: String

  /// Nil if the certificate's key couldn't be read.
  init?(_ certificate: FTPCertificate) {
    if certificate.publicKey.isEmpty { return nil }
    text = "sha256//" + Self.base64(Array(SHA256.hash(data: certificate.publicKey)))
  }

  private static func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
      for position in 0..<4 {
        let digit = alphabet[bits >> (18 - 6 * position) & 63]
        text.append(position <= group.count ? digit : UInt8(ascii: "="))
      }
    }
    return String(decoding: text, as: UTF8.self)
  }
}
