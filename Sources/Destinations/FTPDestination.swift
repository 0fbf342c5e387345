// The destination behind ftp://, ftpes:// and ftps:// URLs: names and folders. Bytes on their way are the business of
// FTPRemoteFile, trying a destination out that of FTPProbe.
import NIOCore
import Transport

public final class FTPDestination: Destination {
  /// A file of at least this many bytes is not begun before its name is known not to be a folder's; smaller ones save
  /// the question, and learn it from the rename.
  static let askedBytes: Int64 = 16 * 1024 * 1024

  let settings: DestinationSettings
  let pool: FTPPool

  /// Connects to nothing yet.
  public init(_ settings: DestinationSettings) {
    self.settings = settings
    pool = FTPPool(settings)
  }

  public var address: DestinationAddress { settings.address }

  public func capabilities() async throws(DestinationError) -> DestinationCapabilities {
    var features = await pool.features
    if features == nil {
      features = try await pool.withConnection { (connection) async throws(FTPError) in await connection.features }
    }
    return DestinationCapabilities(
      writesAtOffsets: false, atomicReplace: await pool.replacesByRename ?? false, tellsFreeSpace: false,
      flushes: false, remoteHashes: features?.hashes.map(\.remote) ?? [],
      maxConnections: settings.maxConnections)
  }

  public func probe() async -> [ProbeStep] { await FTPProbe(settings).run() }

  public func stat(_ path: RemotePath) async throws(DestinationError) -> RemoteInfo? {
    try await pool.withConnection { (connection) async throws(FTPError) in
      try await connection.info(of: path.text).map(RemoteInfo.init)
    }
  }

  public func create(_ path: RemotePath, size: Int64?) async throws(DestinationError) -> any RemoteFile {
    try Self.checkName(path)
    if await pool.replacesByRename == false { try await recover(path) }
    var replaces = false
    if size ?? .max >= Self.askedBytes {
      replaces = try await pool.withConnection { (connection) async throws(FTPError) in
        try await connection.isFile(path)
      }
    }
    let file = FTPRemoteFile(path, pool: pool, end: 0, replaces: replaces, folderMode: settings.folderMode)
    try await file.start()
    return file
  }

  public func reopen(_ path: RemotePath) async throws(DestinationError) -> any RemoteFile {
    try Self.checkName(path)
    try await recover(path)
    let end = try await FTPRemoteFile.size(of: path, pool)
    return FTPRemoteFile(path, pool: pool, end: end, replaces: false)
  }

  public func digest(of path: RemotePath) async throws(DestinationError) -> ContentDigest {
    guard let info = try await stat(path), !info.isDirectory else {
      throw DestinationError(
        .missing, "There is no file \(path) at \(address.endpoint).", nextStep: "Check the path on the server.")
    }
    let reader = FTPReader(path.text, shown: path, pool: pool, file: nil)
    let whole = WrittenChunk(range: 0..<info.size, code: .sha256)
    let digest = try await reader.digest(
      chunks: info.size == 0 ? 0 : 1, hashesWhole: true, whenWritten: { (_) async throws(DestinationError) in whole },
      onChunk: { (_) async throws(DestinationError) in })
    guard let digest else { throw .unhashed(path.text) }
    return digest
  }

  public func removePart(of path: RemotePath) async throws(DestinationError) {
    try Self.checkName(path)
    try await recover(path)
    try await pool.withConnection { (connection) async throws(FTPError) in
      try await connection.removeIfPresent(path.part.text)
    }
  }

  public func close() async { await pool.close() }

  private func recover(_ path: RemotePath) async throws(DestinationError) {
    try await pool.withConnection { (connection) async throws(FTPError) in try await connection.recoverReplaced(path) }
  }

  private static func checkName(_ path: RemotePath) throws(DestinationError) {
    if path.name == nil {
      throw DestinationError(.invalidPath, "The path \(path) names no file.", nextStep: "Add a file's name to it.")
    }
  }
}

extension FTPHash {
  var remote: RemoteHash {
    switch self {
    case .sha256: .sha256
    case .sha1: .sha1
    case .md5: .md5
    case .crc32: .crc32
    }
  }

  init?(_ code: FileCode) {
    switch code {
    case .gmac: return nil
    case .sha1: self = .sha1
    case .md5: self = .md5
    case .crc32: self = .crc32
    }
  }
}

extension RemoteInfo {
  init(_ info: FTPFileInfo) {
    self.init(size: info.size, modified: info.modified, isDirectory: info.isDirectory)
  }
}

// MARK: What several of the above need of a connection

extension FTPConnection {
  /// Makes the folders that are missing and returns them, topmost first. Two that do so at once don't disturb each
  /// other.
  func makeDirectories(_ path: RemotePath) throws(FTPError) -> [RemotePath] {
    var missing: [RemotePath] = []
    var folder = path
    while folder.name != nil {
      if let found = try info(of: folder.text) {
        if !found.isDirectory {
          throw FTPError(
            .alreadyExists, "\(folder) at \(endpoint) is a file, not a folder.", nextStep: "Choose another folder.")
        }
        break
      }
      missing.append(folder)
      folder = folder.parent
    }
    for folder in missing.reversed() {
      do throws(FTPError) { try makeDirectory(folder.text) } catch {
        guard isUsable, try info(of: folder.text)?.isDirectory == true else { throw error }
      }
    }
    return missing.reversed()
  }

  /// False if nothing has the name; a folder is an error.
  func isFile(_ path: RemotePath) throws(FTPError) -> Bool {
    guard let found = try info(of: path.text) else { return false }
    if found.isDirectory {
      throw FTPError(
        .alreadyExists, "\(path) at \(endpoint) is a folder.", nextStep: "Choose another name for the file.")
    }
    return true
  }
}
