// A message authentication code for bytes that leave and come back: GMAC with AES-128 (NIST SP 800-38D), by libcrypto. Whoever
// doesn't know the key can't make other bytes with the same code, and it costs a fifth of SHA-256.
import CSSH2

/// Says which code: of which key, and which of the messages under it.
public struct GMACParameters: Sendable, Equatable {
  public static let keyLength = Int(FERRY_GMAC_KEY)
  /// Bytes of a code.
  public static let codeLength = Int(FERRY_GMAC_TAG)

  public let key: [UInt8]
  /// The initialization vector: 12 bytes.
  public let nonce: [UInt8]

  /// - Parameters:
  ///   - key: `keyLength` random bytes.
  ///   - message: two numbers that no other message under this key has.
  public init(key: [UInt8], message: (UInt32, UInt64)) {
    precondition(key.count == Self.keyLength, "a GMAC key has \(Self.keyLength) bytes")
    self.key = key
    nonce = withUnsafeBytes(of: message.0.bigEndian, Array.init) + withUnsafeBytes(of: message.1.bigEndian, Array.init)
  }
}

/// One message after another: `begin`, `update` as often as it takes, `finalize`.
///
/// `@unchecked Sendable`: by one thread at a time, which whoever shares it sees to.
public final class GMAC: @unchecked Sendable {
  private let context: OpaquePointer

  public init() {
    guard let context = ferry_gmac_make() else { fatalError("libcrypto has no GMAC, which it has since OpenSSL 3.0") }
    self.context = context
  }

  deinit { EVP_MAC_CTX_free(context) }

  public func begin(_ parameters: GMACParameters) {
    var nonce = parameters.nonce
    check(ferry_gmac_begin(context, parameters.key, &nonce))
  }

  public func update(_ bytes: UnsafeRawBufferPointer) {
    check(EVP_MAC_update(context, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count))
  }

  /// `GMACParameters.codeLength` bytes.
  public func finalize() -> [UInt8] {
    var tag = [UInt8](repeating: 0, count: GMACParameters.codeLength)
    check(ferry_gmac_end(context, &tag))
    return tag
  }

  /// Of a whole message.
  public static func code(of bytes: UnsafeRawBufferPointer, _ parameters: GMACParameters) -> [UInt8] {
    let gmac = GMAC()
    gmac.begin(parameters)
    gmac.update(bytes)
    return gmac.finalize()
  }

  /// It can fail for want of memory only.
  private func check(_ status: Int32) { precondition(status == 1, "libcrypto could not compute a GMAC") }
}
