// Which kinds of destination there are: one line each. A new protocol is one file that conforms to Destination, and a
// line here.
import Transport

/// What proves the login. Never shown.
public struct DestinationSecrets: Sendable, CustomStringConvertible, CustomReflectable {
  public var password: String?
  /// OpenSSH format or PEM.
  public var privateKey: String?
  public var passphrase: String?

  public init(password: String? = nil, privateKey: String? = nil, passphrase: String? = nil) {
    self.password = password
    self.privateKey = privateKey
    self.passphrase = passphrase
  }

  public var description: String { "secrets" }
  public var customMirror: Mirror { Mirror(self, children: [:]) }
}

public struct DestinationSettings: Sendable {
  public static let defaultConnections = 4
  public static let maxConnections = 32

  public var address: DestinationAddress
  public var secrets: DestinationSecrets
  public var hostKeys: SSHHostKeyPolicy
  public var maxConnections: Int
  public var timeouts: SSHTimeouts
  /// For ftp, ftpes and ftps; the others don't look at it.
  public var ftp: FTPSettings
  /// For sftp: whether the server may be asked to compute hashes by a shell command.
  public var remoteHash: RemoteHashPolicy
  /// Permission bits of folders that are made; nil: the server's own.
  public var folderMode: UInt16?
  /// For file: the folders that may be written to, with all below them; the destination's own folder is in one of them.
  public var folderRoots: [RemotePath] = []
  /// For ftp, ftpes and ftps: what was found out of servers. Shared by destinations that are to know it of each other.
  public var lockingServers = LockingServers()

  /// `maxConnections` of 0 or less means the default; more than the most is cut.
  public init(
    _ address: DestinationAddress, secrets: DestinationSecrets, hostKeys: SSHHostKeyPolicy = SSHHostKeyPolicy(),
    maxConnections: Int = 0, timeouts: SSHTimeouts = SSHTimeouts(), ftp: FTPSettings = FTPSettings(),
    remoteHash: RemoteHashPolicy = .never, folderMode: UInt16? = nil
  ) {
    self.address = address
    self.secrets = secrets
    self.hostKeys = hostKeys
    self.maxConnections = min(maxConnections > 0 ? maxConnections : Self.defaultConnections, Self.maxConnections)
    self.timeouts = timeouts
    self.ftp = ftp
    self.remoteHash = remoteHash
    self.folderMode = folderMode
  }
}

public enum DestinationRegistry {
  private static let builders: [String: @Sendable (DestinationSettings) throws(DestinationError) -> any Destination] = [
    "sftp": { SFTPDestination($0, remoteHash: $0.remoteHash) },
    "ftp": { FTPDestination($0) },  // readable on the way
    "ftpes": { FTPDestination($0) },  // TLS by AUTH TLS
    "ftps": { FTPDestination($0) },  // TLS from the first byte
    "file": { (settings) throws(DestinationError) in
      FolderDestination(try root(of: settings.address.path, among: settings.folderRoots), folderMode: settings.folderMode)
    },
  ]

  public static var schemes: [String] { builders.keys.sorted() }

  /// Connects to nothing yet.
  public static func destination(_ settings: DestinationSettings) throws(DestinationError) -> any Destination {
    guard let build = builders[settings.address.scheme] else {
      throw DestinationError(
        .invalidAddress, "There is no destination of the kind \"\(settings.address.scheme)\".",
        nextStep: "Use one of: \(schemes.joined(separator: ", ")).")
    }
    return try build(settings)
  }

  /// The innermost of the folders that may be written to which holds the path.
  public static func root(of path: RemotePath, among roots: [RemotePath]) throws(DestinationError) -> RemotePath {
    let holding = roots.filter { $0.base == path.base && path.parts.starts(with: $0.parts) }
    if let root = holding.max(by: { $0.parts.count < $1.parts.count }) { return root }
    throw DestinationError(
      .invalidAddress, "\(path) is in no folder of this machine that may be written to.",
      nextStep: "Have an administrator start FileFerry with --folder-root and that folder.")
  }
}
