// What can go wrong between here and an SFTP server, told to a person: one sentence of what failed, one of what to do.
// It maps libssh2's and the server's numbers to kinds; what to do about a kind (retry, give up) is the caller's
// decision.

/// A failure of an SSH or SFTP step. Nothing in it is secret: host, port, user and path may be named, never a password
/// or key.
public struct SFTPError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: String, Sendable, Equatable, CaseIterable {
    case resolve, connect, timeout, handshake, hostKeyChanged, hostKeyUnknown, badKey, loginRefused
    case noSuchFile, permissionDenied, noSpace, quota, alreadyExists, unsupported
    case connectionLost, closed, cancelled, failure
  }

  public var kind: Kind
  /// One sentence: what failed and why.
  public var message: String
  /// One sentence: what to do next.
  public var nextStep: String
  /// The name of the server's or the library's own code ("SSH_FX_PERMISSION_DENIED", "ETIMEDOUT"); empty if
  /// none.
  public var providerCode: String
  /// True if the same call may succeed later without anybody changing anything.
  public var retryable: Bool
  /// The fingerprint that the server showed, for `hostKeyChanged` and `hostKeyUnknown`.
  public var shownHostKey: String?

  public init(
    _ kind: Kind, _ message: String, nextStep: String, providerCode: String = "", shownHostKey: String? = nil
  ) {
    self.kind = kind
    self.message = message
    self.nextStep = nextStep
    self.providerCode = providerCode
    self.shownHostKey = shownHostKey
    switch kind {
    case .resolve, .connect, .timeout, .handshake, .connectionLost: retryable = true
    default: retryable = false
    }
  }

  public var description: String {
    providerCode.isEmpty ? "\(message) \(nextStep)" : "\(message) \(nextStep) (\(providerCode))"
  }
}

/// The status codes of SFTP (draft-ietf-secsh-filexfer-02 section 7, and the later drafts' numbers above 8).
public enum SFTPStatus {
  static let ok: UInt = 0
  static let endOfFile: UInt = 1
  static let noSuchFile: UInt = 2
  static let failure: UInt = 4
  static let badMessage: UInt = 5
  static let unsupported: UInt = 8

  static func name(_ code: UInt) -> String {
    let names = [
      "SSH_FX_OK", "SSH_FX_EOF", "SSH_FX_NO_SUCH_FILE", "SSH_FX_PERMISSION_DENIED", "SSH_FX_FAILURE",
      "SSH_FX_BAD_MESSAGE", "SSH_FX_NO_CONNECTION", "SSH_FX_CONNECTION_LOST", "SSH_FX_OP_UNSUPPORTED",
      "SSH_FX_INVALID_HANDLE", "SSH_FX_NO_SUCH_PATH", "SSH_FX_FILE_ALREADY_EXISTS", "SSH_FX_WRITE_PROTECT",
      "SSH_FX_NO_MEDIA", "SSH_FX_NO_SPACE_ON_FILESYSTEM", "SSH_FX_QUOTA_EXCEEDED", "SSH_FX_UNKNOWN_PRINCIPAL",
      "SSH_FX_LOCK_CONFLICT", "SSH_FX_DIR_NOT_EMPTY", "SSH_FX_NOT_A_DIRECTORY", "SSH_FX_INVALID_FILENAME",
      "SSH_FX_LINK_LOOP",
    ]
    return code < UInt(names.count) ? names[Int(code)] : "SSH_FX_\(code)"
  }

  public static func missing(_ path: String, at server: SSHEndpoint) -> SFTPError {
    error(noSuchFile, action: "open \(path)", at: server.description)
  }

  /// The error of a status that the server answered to `action` ("write /in/a.part").
  static func error(_ code: UInt, action: String, at server: String) -> SFTPError {
    let name = name(code)
    func make(_ kind: SFTPError.Kind, _ why: String, _ next: String) -> SFTPError {
      SFTPError(kind, "\(server) couldn't \(action): \(why).", nextStep: next, providerCode: name)
    }
    switch code {
    case 2, 10:
      return make(.noSuchFile, "there is no such file or folder", "Check the path on the server.")
    case 3, 12:
      return make(
        .permissionDenied, "the login has no right to do so",
        "Ask the server's owner for the right to write there, or choose another folder.")
    case 6, 7:
      return make(.connectionLost, "the server lost its own connection", "Try again.")
    case 8:
      return make(.unsupported, "the server doesn't offer this operation", "Use a server or option that offers it.")
    case 11:
      return make(.alreadyExists, "the name is taken", "Choose another name, or allow overwriting.")
    case 14:
      return make(.noSpace, "its disk is full", "Free space on the server, then start again.")
    case 15:
      return make(.quota, "the login's quota is used up", "Free space or raise the quota, then start again.")
    default:
      return make(.failure, "the server gave no reason", "Look in the server's log, then try again.")
    }
  }
}
