// Tells a connection's first exchange as steps, for people: name, TCP, TLS, login. libcurl does them in one go; its
// times and the server's replies say how far it came.
import CCurl

struct FTPSteps {
  private let server: FTPServer
  let certificate: FTPCertificate?
  private let resolved: Duration
  let connected: Duration
  private let secured: Duration?
  private let total: Duration
  private let address: String
  private let replies: FTPReplies
  private let code: CURLcode

  init(_ handle: FTPHandle, _ server: FTPServer, _ outcome: FTPOutcome, started: ContinuousClock.Instant) {
    self.server = server
    replies = outcome.replies
    code = outcome.code
    total = .now - started
    certificate = FTPCertificate(handle.certificateLines()) ?? Self.refused(server, outcome)
    resolved = .microseconds(handle.microseconds(CURLINFO_NAMELOOKUP_TIME_T))
    connected = .microseconds(handle.microseconds(CURLINFO_CONNECT_TIME_T))
    let handshake = Duration.microseconds(handle.microseconds(CURLINFO_APPCONNECT_TIME_T))
    if server.security == .explicitTLS {
      // From the yes to AUTH to the next reply: the handshake, and one answer.
      let yes = outcome.replies.all.firstIndex { $0.code == 234 }
      let next = yes.map { $0 + 1 }
      secured = yes.flatMap { yes in
        next.flatMap { next in
          next < handle.replyTimes.count ? handle.replyTimes[next] - handle.replyTimes[yes] : nil
        }
      }
    } else {
      secured = handshake > .zero ? max(.zero, handshake - connected) : nil
    }
    let ip = handle.text(CURLINFO_PRIMARY_IP) ?? ""
    address = ip.isEmpty ? "" : SSHEndpoint(host: ip, port: server.endpoint.port).description
  }

  /// libcurl doesn't show a certificate that it doesn't trust: another handshake, that ends before the login, does.
  private static func refused(_ server: FTPServer, _ outcome: FTPOutcome) -> FTPCertificate? {
    guard outcome.code == CURLE_PEER_FAILED_VERIFICATION,
      let other = FTPHandle(server.forCertificate, isAborted: { false })
    else { return nil }
    other.keepCertificates(true)
    _ = other.run([], patience: server.timeouts.handshake)
    return FTPCertificate(other.certificateLines())
  }

  /// The step at which a failed exchange stopped.
  private var failedStep: FTPStep {
    switch code {
    case CURLE_COULDNT_RESOLVE_HOST: return .resolve
    case CURLE_COULDNT_CONNECT: return .connect
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_CACERT_BADFILE,
      CURLE_USE_SSL_FAILED, CURLE_SSL_CONNECT_ERROR:
      return .tls
    default: break
    }
    if resolved == .zero { return .resolve }
    if connected == .zero { return .connect }
    if server.security == .implicitTLS, secured == nil { return .tls }
    guard let greeting = replies.all.first, greeting.isPositive else { return .connect }
    return server.security == .explicitTLS && secured == nil ? .tls : .login
  }

  func failure(_ outcome: FTPOutcome) -> FTPError {
    let doing =
      switch failedStep {
      case .resolve: "find"
      case .connect: "connect"
      case .tls: "agree on TLS"
      case .login: "log in as \(server.user)"
      }
    var error = FTPError(outcome, doing, .other, at: server.endpoint)
    if failedStep == .login, error.kind == .failure || error.kind == .permissionDenied, error.replyCode >= 500 {
      error.kind = .loginRefused
    }
    if error.kind == .certificateUnknown || error.kind == .certificateChanged { error.certificate = certificate }
    return error
  }

  func report(_ error: FTPError?, to report: (FTPStepReport) -> Void) {
    let failed = error == nil ? nil : failedStep
    for step in FTPStep.allCases where step != .tls || server.security != .none {
      var told = FTPStepReport(step: step, duration: .zero, detail: "")
      switch step {
      case .resolve: (told.duration, told.detail) = (resolved, address.isEmpty ? server.endpoint.host : address)
      case .connect:
        told.duration = max(.zero, connected - resolved)
        told.detail = replies.all.first.map { "\(address): \($0)" } ?? address
      case .tls:
        told.duration = secured ?? .zero
        told.detail = certificate?.description ?? "no certificate was shown"
        told.certificate = certificate
      case .login:
        told.duration = max(.zero, total - connected - (secured ?? .zero))
        told.detail = "logged in as \(server.user)"
      }
      if step == failed {
        told.error = error
        told.detail = [error?.message, told.certificate?.description].compactMap { $0 }.joined(separator: " ")
        report(told)
        return
      }
      report(told)
    }
  }
}
