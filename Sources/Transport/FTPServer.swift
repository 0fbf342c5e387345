// Where an FTP server is, how it is spoken to, and as whom. Values only.

/// How the connections are protected (RFC 4217).
public enum FTPSecurity: String, Sendable, CaseIterable {
  /// Name, password and files travel readable.
  case none
  /// AUTH TLS on the plain port before anything is said, and PROT P for the data; fails without.
  case explicitTLS
  /// TLS from the first byte, usually on port 990.
  case implicitTLS
}

public struct FTPServer: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var endpoint: SSHEndpoint
  public var security: FTPSecurity
  public var user: String
  public var password: String
  /// The server connects back to this machine for the data (PORT, EPRT) in place of the other way round.
  public var active: Bool
  /// PEM certificates to trust in place of the system's; nil trusts the system's.
  public var trustedCertificatesPEM: String?
  /// "sha256//" and the base64 of a public key's SHA-256. The server must have one of them; without
  /// `trustedCertificatesPEM` nothing else is asked of its certificate.
  public var pinnedPublicKeys: [String]
  public var timeouts: SSHTimeouts
  /// For servers that speak nothing older; found out while connecting.
  var allowsTLS13 = false

  public init(
    _ endpoint: SSHEndpoint, security: FTPSecurity, user: String, password: String, active: Bool = false,
    trustedCertificatesPEM: String? = nil, pinnedPublicKeys: [String] = [], timeouts: SSHTimeouts = SSHTimeouts()
  ) {
    self.endpoint = endpoint
    self.security = security
    self.user = user
    self.password = password
    self.active = active
    self.trustedCertificatesPEM = trustedCertificatesPEM
    self.pinnedPublicKeys = pinnedPublicKeys
    self.timeouts = timeouts
  }

  public var description: String { "\(endpoint) as \(user), security \(security.rawValue)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: ["server": description]) }

  /// A pin that no key has: the server shows its certificate, and is told nothing.
  var forCertificate: FTPServer {
    var server = self
    server.trustedCertificatesPEM = nil
    server.pinnedPublicKeys = ["sha256//" + String(repeating: "A", count: 43) + "="]
    return server
  }

  /// The pins alone decide whether the server is trusted.
  var trustsPinsOnly: Bool { !pinnedPublicKeys.isEmpty && trustedCertificatesPEM == nil }
}

/// The steps of a connection, in their order.
public enum FTPStep: String, Sendable, CaseIterable {
  case resolve
  case connect
  case tls = "TLS"
  case login
}

/// One step's outcome.
public struct FTPStepReport: Sendable {
  public var step: FTPStep
  public var duration: Duration
  /// What was found: the address, the certificate, the server's greeting.
  public var detail: String
  public var error: FTPError?
  /// What the server showed, on the step `tls`.
  public var certificate: FTPCertificate?
}
