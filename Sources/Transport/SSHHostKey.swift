// Host keys: how they are written down and when one is trusted. Where the trusted ones are kept is the caller's
// business.
import FoundationEssentials

/// A server's public key as it was proven in the key exchange.
public struct SSHHostKey: Sendable, Equatable {
  /// "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", …
  public var type: String
  /// As OpenSSH prints it: "SHA256:" and base64 without padding.
  public var fingerprint: String

  public init(type: String, fingerprint: String) {
    self.type = type
    self.fingerprint = fingerprint
  }

  init(type: String, sha256: some Collection<UInt8>) {
    self.type = type
    fingerprint = "SHA256:" + Self.unpadded(Data(sha256).base64EncodedString())
  }

  static func unpadded(_ base64: String) -> String { String(base64.prefix { $0 != "=" }) }

  /// Brings a fingerprint as people paste it (padding, spaces around, no prefix) into OpenSSH's form; nil if it isn't
  /// one.
  public static func normalized(_ fingerprint: String) -> String? {
    var text = fingerprint.filter { !$0.isWhitespace }
    if text.lowercased().hasPrefix("sha256:") { text.removeFirst("sha256:".count) }
    text = unpadded(text)
    let sha256Base64Length = 43
    guard text.utf8.count == sha256Base64Length, Data(base64Encoded: text + "=")?.count == 32 else { return nil }
    return "SHA256:" + text
  }
}

/// Which host keys are trusted. Fingerprints that can't be read never match, so that a typing error can't open the
/// door.
public struct SSHHostKeyPolicy: Sendable, Equatable {
  /// Fingerprints that an administrator pinned; if there are any, only these count.
  public var pinned: [String]
  /// Fingerprints remembered from earlier connections to this host.
  public var known: [String]
  /// Accepts the key of a host that is neither pinned nor known. A changed key is refused all the same.
  public var acceptNew: Bool

  public init(pinned: [String] = [], known: [String] = [], acceptNew: Bool = false) {
    self.pinned = pinned
    self.known = known
    self.acceptNew = acceptNew
  }

  public enum Decision: Sendable, Equatable {
    case trusted
    /// The key was never seen and new ones are accepted: remember it.
    case accepted
    case unknown
    case changed(expected: [String])
  }

  public func decide(_ key: SSHHostKey) -> Decision {
    let expected = pinned.isEmpty ? known : pinned
    if expected.isEmpty { return acceptNew ? .accepted : .unknown }
    return expected.contains { SSHHostKey.normalized($0) == key.fingerprint } ? .trusted : .changed(expected: expected)
  }
}
