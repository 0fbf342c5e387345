// The pin of a server's public key, as libcurl takes it and people copy it.
import Crypto
import FoundationEssentials
import Transport

/// "sha256//" and the base64 of the SHA-256 of the SubjectPublicKeyInfo (CURLOPT_PINNEDPUBLICKEY).
struct FTPPin: Sendable, Equatable {
  let text: String

  /// Nil if the certificate's key couldn't be read.
  init?(_ certificate: FTPCertificate) {
    if certificate.publicKey.isEmpty { return nil }
    text = "sha256//" + Data(SHA256.hash(data: certificate.publicKey)).base64EncodedString()
  }
}
