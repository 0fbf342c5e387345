// What can go wrong on the way to a server, for HTTP and SMTP: a kind to decide by, a sentence to show, and libcurl's
// own code for the support desk. An HTTP status is not an error here: whoever speaks that server's API judges it.
import CCurl

public struct TransportError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: String, Sendable {
    case invalidRequest  // the caller's URL, header, address or option can't be sent
    case resolve  // the host name has no address
    case connect  // no TCP connection
    case tls  // the handshake failed, or the certificate was not trusted
    case timeout
    case reset  // the connection ended before the answer did
    case tooLarge  // the answer is over the caller's bound
    case refused  // the server said no: a login, a sender, a recipient or a message
    case protocolViolation  // the server's answer makes no sense
    case overloaded  // this client's own queue is full
    case cancelled  // the caller's task was cancelled, or the client was shut down
    case system  // out of memory, sockets or threads on this machine
  }

  public let kind: Kind
  /// One sentence that names host and port, what failed and why. Never carries a secret.
  public let message: String
  /// One sentence: what to do.
  public let nextStep: String
  /// Whether the same exchange may succeed a moment later. Says nothing about whether repeating it is safe.
  public let retryable: Bool
  /// libcurl's CURLcode, 0 where libcurl was not the one to fail.
  public let curlCode: Int

  public init(_ kind: Kind, _ message: String, nextStep: String, retryable: Bool = false, curlCode: Int = 0) {
    self.kind = kind
    self.message = message
    self.nextStep = nextStep
    self.retryable = retryable
    self.curlCode = curlCode
  }

  public var description: String { "\(message) \(nextStep)" }
}

/// What libcurl reports about a failed exchange, gathered by the loop before the handle is freed.
struct CurlFailure {
  var code: CURLcode
  var detail: String  // CURLOPT_ERRORBUFFER
  var systemError: Int32  // errno of the failed connect, else 0
  var replyCode: Int  // SMTP reply code, 0 for none
  var reply: String  // the server's last line
}

extension TransportError {
  /// Source: libcurl-errors(3).
  init(_ failure: CurlFailure, host: String) {
    let detail = failure.detail.isEmpty ? String(cString: curl_easy_strerror(failure.code)) : failure.detail
    let (kind, retryable, what, next) = Self.judge(failure)
    self.init(
      kind, "\(what) \(host): \(detail)\(Self.said(failure.reply)).", nextStep: next, retryable: retryable,
      curlCode: Int(failure.code.rawValue))
  }

  private static func said(_ reply: String) -> String { reply.isEmpty ? "" : " (the server said: \(reply))" }

  private static func judge(_ failure: CurlFailure) -> (Kind, Bool, String, String) {
    let again = "Try again; if it stays, check the server and the network between."
    // A reply of before says nothing of a line that then went silent.
    if failure.replyCode >= 400, failure.code != CURLE_OPERATION_TIMEDOUT, failure.code != CURLE_COULDNT_CONNECT {
      let passing = failure.replyCode < 500
      return (.refused, passing, "Refused by", passing ? "Try again later." : "Correct what the server names.")
    }
    switch failure.code {
    case CURLE_URL_MALFORMAT, CURLE_BAD_FUNCTION_ARGUMENT, CURLE_NOT_BUILT_IN:
      return (.invalidRequest, false, "Could not send the request to", "Correct the address.")
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY:
      return (.resolve, true, "Could not find", "Check the host name and the DNS servers.")
    case CURLE_COULDNT_CONNECT:
      return (.connect, true, "Could not connect to", "Check the host, the port, and that the server runs.")
    case CURLE_OPERATION_TIMEDOUT:
      return (.timeout, true, "Timed out talking to", again)
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CRL_BADFILE,
      CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return (
        .tls, false, "Did not trust the certificate of",
        "Have the server's certificate corrected, or give the CA that signed it as the CA file."
      )
    case CURLE_SSL_CACERT_BADFILE:
      return (.tls, false, "Could not read the CA file for", "Correct the path or the contents of the CA file.")
    case CURLE_USE_SSL_FAILED:
      return (.tls, false, "No TLS was to be had from", "Have TLS switched on at the server, or choose another mode.")
    case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_CERTPROBLEM, CURLE_SSL_ENGINE_INITFAILED:
      let passing = failure.systemError != 0
      return (.tls, passing, "TLS failed with", "Check that the port speaks TLS 1.2 or newer.")
    case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE, CURLE_SSL_SHUTDOWN_FAILED:
      return (.reset, true, "Lost the connection to", again)
    case CURLE_LOGIN_DENIED:
      return (.refused, false, "Login refused by", "Correct the user name or the password.")
    case CURLE_REMOTE_ACCESS_DENIED:
      return (.refused, false, "Refused by", "Correct what the server names.")
    case CURLE_OUT_OF_MEMORY, CURLE_FAILED_INIT, CURLE_INTERFACE_FAILED:
      return (.system, true, "This machine could not talk to", "Free memory or sockets and try again.")
    default:
      return (
        .protocolViolation, false, "Unexpected answer from", "Check that the address is that of the right server."
      )
    }
  }
}
