// The secrets that services prove themselves with: files NAME.secret in one folder. They are read at each use, so that
// a changed or removed file counts at once, and compared by their SHA-256 in constant time.
import Crypto
import RPC
import ServiceKit

struct ServiceSecrets: Sendable {
  private static let maximumNameSize = 32
  /// Shorter secrets are not taken: an empty file must let nobody in.
  static let minimumSize = 32

  let folder: String?

  /// - Throws: UNAUTHENTICATED, with the same words for a service that does not exist and a wrong secret.
  func check(service: String, secret: String) throws(RPCError) {
    let refusal = RPCError.unauthenticated(
      "The service's name or secret is wrong.", next: "Check --service-secret-file of the service.")
    guard let folder, Self.isName(service), secret.utf8.count <= ServiceIdentity.maximumSecretSize
    else { throw refusal }
    let expected: [UInt8]
    do throws(ServiceFailure) {
      expected = try PrivateFile.read("\(folder)/\(service).secret", maximumSize: ServiceIdentity.maximumSecretSize)
    } catch { throw refusal }
    let text = String(decoding: expected, as: UTF8.self).trimmingSpaces
    let isEqual = ConstantTime.equal(Self.hash(text), Self.hash(secret))
    guard isEqual, text.utf8.count >= Self.minimumSize else { throw refusal }
  }

  private static func hash(_ text: some StringProtocol) -> [UInt8] { Array(SHA256.hash(data: Array(text.utf8))) }

  /// It becomes part of a path: nothing but lower-case letters and hyphens.
  private static func isName(_ name: String) -> Bool {
    (1...maximumNameSize).contains(name.utf8.count)
      && name.utf8.allSatisfy { ($0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z")) || $0 == UInt8(ascii: "-") }
  }
}
