// Where to connect, as whom, and how long to wait. Values only.

/// A server's name or address and port.
public struct SSHEndpoint: Sendable, Hashable, CustomStringConvertible {
  public static let defaultPort: UInt16 = 22
  public var host: String
  public var port: UInt16

  public init(host: String, port: UInt16 = SSHEndpoint.defaultPort) {
    self.host = host
    self.port = port
  }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A user and what proves it. Its description never shows a secret.
public struct SSHLogin: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var user: String
  /// For the "password" method, or the hidden prompt of "keyboard-interactive".
  public var password: String?
  /// A private key as text: OpenSSH format or PEM.
  public var privateKey: String?
  /// What the private key is encrypted with.
  public var passphrase: String?

  public init(user: String, password: String? = nil, privateKey: String? = nil, passphrase: String? = nil) {
    self.user = user
    self.password = password
    self.privateKey = privateKey
    self.passphrase = passphrase
  }

  public var description: String {
    let means = [privateKey == nil ? nil : "a private key", password == nil ? nil : "a password"].compactMap { $0 }
    return "\(user) with \(means.isEmpty ? "nothing" : means.joined(separator: " and "))"
  }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: ["login": description]) }
}

/// How long each thing may take before it counts as failed.
public struct SSHTimeouts: Sendable, Equatable {
  /// Name look-up, and TCP connect over all addresses: each.
  public var connect: Duration
  /// Key exchange and login: each call.
  public var handshake: Duration
  /// One SFTP call, or one acknowledged part of a long write or read.
  public var io: Duration
  /// A connection idle for this long is spoken to, so that neither side nor a firewall drops it.
  public var keepAlive: Duration

  public init(
    connect: Duration = .seconds(10), handshake: Duration = .seconds(20), io: Duration = .seconds(60),
    keepAlive: Duration = .seconds(15)
  ) {
    self.connect = connect
    self.handshake = handshake
    self.io = io
    self.keepAlive = keepAlive
  }

  static func milliseconds(_ duration: Duration) -> Int {
    Int(clamping: duration.components.seconds) * 1000 + Int(duration.components.attoseconds / 1_000_000_000_000_000)
  }
}

/// The steps of a connection, in their order.
public enum SSHStep: String, Sendable, CaseIterable {
  case resolve
  case connect
  case handshake
  case hostKey = "host key"
  case login
  case sftp
}

/// One step's outcome, reported as it ends.
public struct SSHStepReport: Sendable {
  public var step: SSHStep
  public var duration: Duration
  /// What was found: the address, the server's version, the host key's fingerprint, the login method.
  public var detail: String
  public var error: SFTPError?
}

/// What a connection found at the other end.
public struct SSHServer: Sendable, Equatable {
  public var address: String
  /// "SSH-2.0-OpenSSH_9.2p1 …"
  public var banner: String
  public var hostKey: SSHHostKey
  /// The host key was not pinned or known before: the caller should remember it.
  public var hostKeyIsNew: Bool
  /// "publickey", "password" or "keyboard-interactive".
  public var loginMethod: String
  /// How long the server took to answer the simplest of requests.
  public var roundTrip: Duration
}
