// A certificate for localhost that signs itself, in files of a folder of its own, for runs in which nobody checks it or
// whoever checks it has fetched it first.
import Crypto
import FoundationEssentials
import Glibc
import X509

struct SelfSigned {
  let folder: String
  var certificateFile: String { folder + "/certificate.pem" }
  var keyFile: String { folder + "/key.pem" }

  private static let lifetime: TimeInterval = 30 * 86_400
  /// A clock that is a little slow must not refuse it.
  private static let leeway: TimeInterval = 86_400

  struct FolderRefused: Error, CustomStringConvertible {
    let description: String
  }

  init() throws {
    let key = P256.Signing.PrivateKey()
    let certificateKey = Certificate.PrivateKey(key)
    let name = try DistinguishedName { CommonName("FileFerry interoperability tests") }
    let now = Date()
    let certificate = try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: certificateKey.publicKey,
      notValidBefore: now - Self.leeway, notValidAfter: now + Self.lifetime, issuer: name, subject: name,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
        Critical(KeyUsage(digitalSignature: true, keyCertSign: true))
        try ExtendedKeyUsage([.serverAuth])
        SubjectAlternativeNames([.dnsName("localhost"), .ipAddress(.init(contentBytes: [127, 0, 0, 1]))])
      },
      issuerPrivateKey: certificateKey)
    folder = try Self.makeFolder()
    try certificate.serializeAsPEM().pemString.write(toFile: certificateFile, atomically: false, encoding: .utf8)
    // The folder can be entered by this user alone, so the key needs no rights of its own.
    try key.pemRepresentation.write(toFile: keyFile, atomically: false, encoding: .utf8)
  }

  private static func makeFolder() throws -> String {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/rpc-interop-server-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
      buffer.baseAddress.flatMap { mkdtemp($0) } != nil
    }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard made else {
      let reason = String(cString: strerror(errno))
      throw FolderRefused(description: "No folder for the certificate can be made in \(parent): \(reason).")
    }
    return path
  }

  func remove() {
    for path in [certificateFile, keyFile] { unlink(path) }
    rmdir(folder)
  }
}
