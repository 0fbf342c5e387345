// Who the server at the other end has shown itself to be.
import Transport

public struct ServerIdentity: Sendable, Equatable {
  /// Of the host key, as ssh-keygen prints it; of an FTPS server's public key, as libcurl pins it. Empty where nothing is
  /// shown (FTP), or where the name in a certificate that is trusted says it.
  public var fingerprint: String
  /// It was not known before, and accepted because that was asked for: the caller should remember it.
  public var isNew: Bool

  public init(fingerprint: String, isNew: Bool = false) {
    self.fingerprint = fingerprint
    self.isNew = isNew
  }
}

extension SFTPDestination {
  public func identity() async throws(DestinationError) -> ServerIdentity {
    let server = try await server()
    return ServerIdentity(fingerprint: server.hostKey.fingerprint, isNew: server.hostKeyIsNew)
  }
}

extension FTPDestination {
  public func identity() async throws(DestinationError) -> ServerIdentity {
    _ = try await capabilities()
    let pins = settings.ftp.pinnedPublicKeys
    return ServerIdentity(fingerprint: pins.count == 1 ? pins[0] : "")
  }
}
