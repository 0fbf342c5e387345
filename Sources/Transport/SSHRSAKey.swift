// An RSA private key for logins with SHA-2 signatures, which libssh2 before 1.11 can't make itself (see CSSH2/rsa.h).
// Every other kind of key goes to libssh2 as text.
import CSSH2
import FoundationEssentials
import NIOCore

/// Owns libcrypto's key and frees it.
final class SSHRSAKey {
  let raw: OpaquePointer

  /// Nil if the text is no RSA key, or one that can't be read: encrypted in OpenSSH's own format, or a wrong
  /// passphrase.
  init?(_ text: String, passphrase: String?) {
    let key: OpaquePointer?
    if var body = Self.openSSHBody(text) {
      key = Self.parse(&body)
    } else {
      key = ferry_rsa_from_pem(text, text.utf8.count, passphrase)
    }
    guard let key else { return nil }
    raw = key
  }

  deinit { EVP_PKEY_free(raw) }

  static func isEncryptedOpenSSH(_ text: String) -> Bool {
    guard var body = openSSHBody(text), let cipher = body.readSSHBytes() else { return false }
    guard body.readSSHBytes() != nil, body.readSSHBytes() != nil, body.readInteger(as: UInt32.self) == 1,
      var publicKey = body.readSSHBytes()
    else { return false }
    return cipher != ByteBuffer(string: "none") && publicKey.readSSHBytes() == ByteBuffer(string: "ssh-rsa")
  }

  /// What follows the magic of OpenSSH's format (OpenSSH's PROTOCOL.key).
  private static func openSSHBody(_ text: String) -> ByteBuffer? {
    let lines = text.split(whereSeparator: \.isNewline).map { $0.filter { !$0.isWhitespace } }
    guard let start = lines.firstIndex(of: "-----BEGINOPENSSHPRIVATEKEY-----"),
      let end = lines.firstIndex(of: "-----ENDOPENSSHPRIVATEKEY-----"), start < end,
      let data = Data(base64Encoded: lines[(start + 1)..<end].joined())
    else { return nil }
    var body = ByteBuffer(bytes: data)
    let magic = "openssh-key-v1\0"
    return body.readString(length: magic.utf8.count) == magic ? body : nil
  }

  private static func parse(_ body: inout ByteBuffer) -> OpaquePointer? {
    let none = ByteBuffer(string: "none")
    guard body.readSSHBytes() == none, body.readSSHBytes() == none, body.readSSHBytes() != nil,
      body.readInteger(as: UInt32.self) == 1, body.readSSHBytes() != nil, var secret = body.readSSHBytes(),
      let check = secret.readInteger(as: UInt32.self), secret.readInteger(as: UInt32.self) == check,
      secret.readSSHBytes() == ByteBuffer(string: "ssh-rsa"), let n = secret.readSSHBytes(),
      let e = secret.readSSHBytes(), let d = secret.readSSHBytes()
    else { return nil }
    let numbers = [n, e, d].map { Array($0.readableBytesView) }
    return ferry_rsa_from_numbers(
      numbers[0], numbers[0].count, numbers[1], numbers[1].count, numbers[2], numbers[2].count)
  }
}
