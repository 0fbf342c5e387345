// What an FTP destination needs beyond its address and login. Nothing in it is secret.
import Transport

public struct FTPSettings: Sendable, Equatable {
  /// The server connects back to this machine for each file (PORT, EPRT). False is the passive mode (EPSV, PASV), which
  /// firewalls on this side let through.
  public var active: Bool
  /// PEM certificates, of the server's CA or its own, to trust in place of the system's. Nil trusts the system's.
  public var trustedCertificatesPEM: String?
  /// "sha256//" and the base64 of the SHA-256 of the server's public key (SubjectPublicKeyInfo), as a probe shows it
  /// and libcurl takes it. Where there are any, the server must have one of them; without `trustedCertificatesPEM` they
  /// alone decide, whoever issued the certificate and whatever name and time are in it.
  public var pinnedPublicKeys: [String]

  public init(active: Bool = false, trustedCertificatesPEM: String? = nil, pinnedPublicKeys: [String] = []) {
    self.active = active
    self.trustedCertificatesPEM = trustedCertificatesPEM
    self.pinnedPublicKeys = pinnedPublicKeys
  }
}

extension FTPServer {
  static let securities: [String: FTPSecurity] = ["ftp": .none, "ftpes": .explicitTLS, "ftps": .implicitTLS]

  init(_ settings: DestinationSettings) {
    let address = settings.address
    // The registry brings no other scheme here; TLS would be the safe side.
    let security = Self.securities[address.scheme] ?? .explicitTLS
    self.init(
      address.endpoint, security: security, user: address.user, password: settings.secrets.password ?? "",
      active: settings.ftp.active, trustedCertificatesPEM: settings.ftp.trustedCertificatesPEM,
      pinnedPublicKeys: settings.ftp.pinnedPublicKeys, timeouts: settings.timeouts)
  }
}
