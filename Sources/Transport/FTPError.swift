// What can go wrong between here and an FTP server, told to a person: one sentence of what failed, one of what to do.
// It maps the server's replies (RFC 959, 4217) and libcurl's codes to kinds; what to do about a kind is the caller's
// decision.
import CCurl

/// A failure of an FTP step. Nothing in it is secret: host, port, user and path may be named, never a password.
public struct FTPError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: String, Sendable, Equatable, CaseIterable {
    case resolve, connect, timeout, tls, certificateUnknown, certificateChanged, loginRefused, tooManyConnections
    case noSuchFile, permissionDenied, nameRefused, noSpace, quota, alreadyExists, unsupported
    /// The control connection, or the way for the data, was lost.
    case connectionLost
    case closed, cancelled, invalid, failure
  }

  public var kind: Kind
  /// One sentence: what failed and why.
  public var message: String
  /// One sentence: what to do next.
  public var nextStep: String
  /// The server's own words ("550 No such file."), else libcurl's code ("CURLE_COULDNT_CONNECT"), else empty.
  public var providerCode: String
  /// 0 if it was not the server that said no.
  public var replyCode: Int
  /// True if the same call may succeed later without anybody changing anything.
  public var retryable: Bool
  /// What the server showed, for `certificateUnknown` and `certificateChanged`.
  public var certificate: FTPCertificate?

  public init(_ kind: Kind, _ message: String, nextStep: String, providerCode: String = "", replyCode: Int = 0) {
    self.kind = kind
    self.message = message
    self.nextStep = nextStep
    self.providerCode = providerCode
    self.replyCode = replyCode
    switch kind {
    case .resolve, .connect, .timeout, .connectionLost, .tooManyConnections: retryable = true
    // 4yz: "the error condition is temporary" (RFC 959 section 4.2.1); a full disk is not, for as long as a retry lasts.
    case .failure, .tls: retryable = (400..<500).contains(replyCode)
    default: retryable = false
    }
  }

  public var description: String {
    providerCode.isEmpty ? "\(message) \(nextStep)" : "\(message) \(nextStep) (\(providerCode))"
  }
}

// MARK: From a reply

extension FTPError {
  /// What was asked of the server, for the words and for replies that only make sense together with it.
  enum Action: Sendable {
    case read, write, other
  }

  /// - Parameter doing: "write /in/a.part".
  init(_ reply: FTPReply, _ doing: String, _ action: Action, at server: SSHEndpoint) {
    let (kind, next) = Self.judge(reply, action)
    self.init(
      kind, "\(server) couldn't \(doing): \(Self.quoted(reply)).", nextStep: next, providerCode: reply.description,
      replyCode: reply.code)
  }

  private static func quoted(_ reply: FTPReply) -> String {
    let longestShown = 200
    var text = String(reply.text.prefix(longestShown))
    while text.last == "." { text.removeLast() }
    return text.isEmpty ? "it answered \(reply.code)" : "\"\(text)\""
  }

  private static func judge(_ reply: FTPReply, _ action: Action) -> (Kind, String) {
    let text = reply.text.lowercased()
    func says(_ words: String...) -> Bool { words.contains { text.contains($0) } }
    if [421, 430, 530, 550].contains(reply.code) {
      if says("encrypt", "must use tls", "must use ssl", "use tls", "requires tls", "requires ssl") {
        return (.tls, "Write the destination's URL with ftpes:// (or ftps://) in place of ftp://.")
      }
      if says("too many", "maximum number", "connection limit", "limit exceeded", "max connections") {
        return (.tooManyConnections, "Try again later, or allow fewer connections for this destination.")
      }
    }
    switch reply.code {
    case 421:
      return (.tooManyConnections, "Try again later, or allow fewer connections for this destination.")
    case 425, 426:
      return (.connectionLost, "Check that firewalls let the data connections through, or change the active mode.")
    case 430, 530, 532, 332:
      return (.loginRefused, "Correct the user name or the password.")
    case 431, 522, 533, 534, 535, 536, 537:
      return (.tls, "Ask the server's owner about its TLS settings, or choose another mode.")
    case 452: return (.noSpace, freeSpace)
    case 552: return says("disk", "space") && !says("quota") ? (.noSpace, freeSpace) : (.quota, raiseQuota)
    case 500, 501, 502, 504:
      return (.unsupported, "Use a server or option that offers it.")
    default: break
    }
    if says("quota") { return (.quota, raiseQuota) }
    if says("no space", "disk full", "disk is full", "not enough space", "insufficient") { return (.noSpace, freeSpace) }
    if says("no such", "not found", "not exist", "n't exist", "cannot find", "can't find") {
      return (.noSuchFile, "Check the path on the server.")
    }
    if says("permission", "denied", "not allowed", "forbidden", "not permitted", "read-only", "privilege") {
      return reply.code == 553 && says("name") ? (.nameRefused, rename) : (.permissionDenied, askForRight)
    }
    if says("exists", "is a directory", "not a directory") {
      return (.alreadyExists, "Choose another name, or allow overwriting.")
    }
    switch (reply.code, action) {
    case (550, .read): return (.noSuchFile, "Check the path on the server, and the login's right to read it.")
    case (550, .write): return (.permissionDenied, askForRight)
    case (553, _): return says("name", "illegal", "invalid") ? (.nameRefused, rename) : (.permissionDenied, askForRight)
    default: return (.failure, "Look in the server's log, then try again.")
    }
  }

  private static let freeSpace = "Free space on the server, then start again."
  private static let raiseQuota = "Free space or raise the quota, then start again."
  private static let askForRight =
    "Ask the server's owner for the right to write there, or choose another folder."
  private static let rename = "Rename the file, or give it another path at the destination."
}

// MARK: From libcurl

extension FTPError {
  /// Source: libcurl-errors(3). A refusal of the server comes first: it knows more than libcurl.
  init(_ outcome: FTPOutcome, _ doing: String, _ action: Action, at server: SSHEndpoint) {
    if outcome.aborted {
      self.init(.cancelled, "Did not \(doing) at \(server): it was cancelled.", nextStep: "Start it again if it is wanted.")
      return
    }
    if let reply = outcome.replies.refusal, outcome.code != CURLE_OPERATION_TIMEDOUT, !outcome.concernsTrust {
      self.init(reply, doing, action, at: server)
      return
    }
    let detail = outcome.detail.isEmpty ? String(cString: curl_easy_strerror(outcome.code)) : outcome.detail
    let (kind, name, next) = Self.judge(outcome)
    self.init(kind, "Couldn't \(doing) at \(server): \(detail).", nextStep: next, providerCode: name)
  }

  private static func judge(_ outcome: FTPOutcome) -> (Kind, String, String) {
    let again = "Try again; if it stays, check the server and the network between."
    switch outcome.code {
    case CURLE_COULDNT_RESOLVE_HOST:
      return (.resolve, "CURLE_COULDNT_RESOLVE_HOST", "Check the host name and the DNS servers.")
    case CURLE_COULDNT_CONNECT:
      return (.connect, "CURLE_COULDNT_CONNECT", "Check the host, the port, and that the server runs.")
    case CURLE_OPERATION_TIMEDOUT:
      return (.timeout, "CURLE_OPERATION_TIMEDOUT", again)
    case CURLE_PEER_FAILED_VERIFICATION:
      return (
        .certificateUnknown, "CURLE_PEER_FAILED_VERIFICATION",
        "Have the server's certificate corrected, or trust its CA or its public key for this destination."
      )
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return (
        .certificateChanged, "CURLE_SSL_PINNEDPUBKEYNOTMATCH",
        "Ask the server's owner whether its key was changed; only then pin the new one."
      )
    case CURLE_SSL_CACERT_BADFILE:
      return (.invalid, "CURLE_SSL_CACERT_BADFILE", "Give the trusted certificates in PEM form.")
    case CURLE_USE_SSL_FAILED:
      return (.tls, "CURLE_USE_SSL_FAILED", "Have TLS switched on at the server, or choose another mode.")
    case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_CERTPROBLEM, CURLE_SSL_SHUTDOWN_FAILED:
      return (.tls, "CURLE_SSL_CONNECT_ERROR", "Check that the port speaks TLS 1.2 or newer, and the mode.")
    case CURLE_WEIRD_SERVER_REPLY, CURLE_FTP_WEIRD_PASS_REPLY, CURLE_FTP_WEIRD_PASV_REPLY, CURLE_FTP_WEIRD_227_FORMAT:
      return (.failure, "CURLE_WEIRD_SERVER_REPLY", "Check that the address is that of an FTP server.")
    case CURLE_LOGIN_DENIED:
      return (.loginRefused, "CURLE_LOGIN_DENIED", "Correct the user name or the password.")
    case CURLE_FTP_ACCEPT_FAILED, CURLE_FTP_ACCEPT_TIMEOUT, CURLE_FTP_PORT_FAILED, CURLE_FTP_CANT_GET_HOST:
      return (
        .connectionLost, "CURLE_FTP_ACCEPT_FAILED",
        "Use the passive mode, or let the server's data connections through to this machine."
      )
    case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE, CURLE_READ_ERROR,
      CURLE_WRITE_ERROR:
      return (.connectionLost, "CURLE_RECV_ERROR", again)
    default:
      return (.failure, "CURLE_\(outcome.code.rawValue)", again)
    }
  }
}
