// The destination behind sftp:// URLs: names, folders, free space. Bytes on their way are the business of
// SFTPRemoteFile, trying a destination out that of SFTPProbe.
import Crypto
import NIOCore
import Transport

public final class SFTPDestination: Destination {
  let settings: DestinationSettings
  let pool: SFTPPool

  /// Connects to nothing yet.
  public init(_ settings: DestinationSettings) {
    self.settings = settings
    pool = SFTPPool(settings)
  }

  public var address: DestinationAddress { settings.address }

  /// What is at the other end: address, version, host key. Connects if need be.
  public func server() async throws(DestinationError) -> SSHServer {
    try await pool.withConnection { (connection) async throws(SFTPError) in
      _ = try await connection.attributes(of: ".")
    }
    if let server = await pool.server { return server }
    throw DestinationError(.unreachable, "\(address) is not connected.", nextStep: "Try again.")
  }

  public func capabilities() async throws(DestinationError) -> DestinationCapabilities {
    let extensions = try await pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.extensions()
    }
    return DestinationCapabilities(
      writesAtOffsets: true, atomicReplace: extensions[SFTPConnection.posixRename] != nil,
      tellsFreeSpace: extensions["statvfs@openssh.com"] != nil, flushes: extensions["fsync@openssh.com"] != nil,
      remoteHashes: [], maxConnections: settings.maxConnections)
  }

  public func probe() async -> [ProbeStep] { await SFTPProbe(settings).run() }

  public func stat(_ path: RemotePath) async throws(DestinationError) -> RemoteInfo? {
    try await pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.attributes(of: path.text).map(RemoteInfo.init)
    }
  }

  public func create(_ path: RemotePath, size: Int64?) async throws(DestinationError) -> any RemoteFile {
    try Self.checkName(path)
    let part = path.part.text
    let (connection, handle, volume) = try await pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.recoverReplaced(path)
      _ = try await connection.makeDirectories(path.parent)
      if try await connection.attributes(of: path.text)?.isDirectory == true {
        throw SFTPError(
          .alreadyExists, "\(path) at \(connection.endpoint) is a folder.",
          nextStep: "Choose another name for the file.")
      }
      let handle = try await connection.open(part, .create)
      let volume = size == nil ? nil : try await connection.volume(of: part)
      return (connection, handle, volume)
    }
    let file = SFTPRemoteFile(path, pool: pool)
    file.adopt(handle, of: connection)
    if let size, let volume, volume.free < size {
      try await file.abandon()
      throw DestinationError(
        .noSpace,
        "\(path) needs \(size) bytes, and \(address.endpoint) has \(volume.free) bytes free of \(volume.size).",
        nextStep: "Free space on the server, then start again.")
    }
    return file
  }

  public func reopen(_ path: RemotePath) async throws(DestinationError) -> any RemoteFile {
    try Self.checkName(path)
    let (connection, handle) = try await pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.recoverReplaced(path)
      return (connection, try await connection.open(path.part.text, .update))
    }
    let file = SFTPRemoteFile(path, pool: pool)
    file.adopt(handle, of: connection)
    return file
  }

  public func digest(of path: RemotePath) async throws(DestinationError) -> ContentDigest {
    try await pool.withConnection { (connection) async throws(SFTPError) in
      let handle = try await connection.open(path.text, .read)
      do throws(SFTPError) {
        let size = try await connection.attributes(of: handle).size ?? 0
        let hash = try await connection.read(0..<size, from: handle, into: SHA256()) { $0.update(bufferPointer: $1) }
        try await connection.close(handle)
        return ContentDigest(sha256: hash.finalize())
      } catch {
        try? await connection.close(handle)  // the first error is the one to tell
        throw error
      }
    }
  }

  public func removePart(of path: RemotePath) async throws(DestinationError) {
    try Self.checkName(path)
    try await pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.removeIfPresent(path.part.text)
    }
  }

  public func close() async { await pool.close() }

  private static func checkName(_ path: RemotePath) throws(DestinationError) {
    if path.name == nil {
      throw DestinationError(.invalidPath, "The path \(path) names no file.", nextStep: "Add a file's name to it.")
    }
  }
}

extension RemoteInfo {
  init(_ attributes: SFTPAttributes) {
    self.init(size: attributes.size ?? 0, modified: attributes.modified, isDirectory: attributes.isDirectory)
  }
}

// MARK: What several of the above need of a connection

extension SFTPConnection {
  /// Makes the folders that are missing and returns them, topmost first. Two that do so at once don't disturb each
  /// other.
  func makeDirectories(_ path: RemotePath) throws(SFTPError) -> [RemotePath] {
    var missing: [RemotePath] = []
    var folder = path
    while folder.name != nil {
      if let found = try attributes(of: folder.text) {
        if !found.isDirectory { throw Self.notAFolder(folder, endpoint) }
        break
      }
      missing.append(folder)
      folder = folder.parent
    }
    for folder in missing.reversed() {
      do throws(SFTPError) { try makeDirectory(folder.text) } catch {
        guard isUsable, try attributes(of: folder.text)?.isDirectory == true else { throw error }
      }
    }
    return missing.reversed()
  }

  private static func notAFolder(_ path: RemotePath, _ endpoint: SSHEndpoint) -> SFTPError {
    SFTPError(.alreadyExists, "\(path) at \(endpoint) is a file, not a folder.", nextStep: "Choose another folder.")
  }

  func removeIfPresent(_ path: String) throws(SFTPError) {
    do throws(SFTPError) { try remove(path) } catch {
      if error.kind != .noSuchFile { throw error }
    }
  }
}
