// The destination behind sftp:// URLs: names, folders, free space. Bytes on their way are the business of
// SFTPRemoteFile, trying a destination out that of SFTPProbe.
import NIOCore
import Transport

public final class SFTPDestination: Destination {
  let settings: DestinationSettings
  let pool: SFTPPool
  private let hashing: SFTPRemoteHash?
  private let space = SFTPFreeSpace()
  /// From this size on a file's name is looked at before the file is sent; a smaller one finds out at the end.
  static let smallSize: Int64 = 1 << 20

  /// Connects to nothing yet. `remoteHash`: whether commands may be run on the server.
  public init(_ settings: DestinationSettings, remoteHash: RemoteHashPolicy = .never) {
    self.settings = settings
    pool = SFTPPool(settings)
    hashing = remoteHash == .whereOffered ? SFTPRemoteHash(pool, login: settings.address.user) : nil
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
    let programs = await hashing?.programs()
    let hashes: [RemoteHash] = programs.map { $0.hasGMAC ? [.gmac, .sha256] : [.sha256] } ?? []
    return DestinationCapabilities(
      writesAtOffsets: true, atomicReplace: extensions[SFTPConnection.posixRename] != nil,
      tellsFreeSpace: extensions["statvfs@openssh.com"] != nil, flushes: extensions["fsync@openssh.com"] != nil,
      remoteHashes: hashes, maxConnections: settings.maxConnections)
  }

  public func probe() async -> [ProbeStep] { await SFTPProbe(settings).run() }

  public func stat(_ path: RemotePath) async throws(DestinationError) -> RemoteInfo? {
    try await pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.attributes(of: path.text).map(RemoteInfo.init)
    }
  }

  public func create(_ path: RemotePath, size: Int64?) async throws(DestinationError) -> any RemoteFile {
    try Self.checkName(path)
    let folder = path.parent.text
    let isKnownToFit = size.map { $0 == 0 || space.take($0, in: folder) } ?? true
    let file = SFTPRemoteFile(path, pool: pool, hashing: hashing)
    let opened = try await pool.withConnection { (connection) async throws(SFTPError) in
      let opened = try await connection.openPart(
        path, volumeOf: isKnownToFit ? nil : folder, lookAhead: size ?? .max > Self.smallSize,
        folderMode: self.settings.folderMode)
      file.adopt(opened.handle, of: connection)
      return opened
    }
    if opened.other?.isDirectory == true {
      try await file.abandon()
      throw DestinationError(SFTPConnection.isAFolder(path, address.endpoint))
    }
    if let size, let volume = opened.volume {
      if volume.free < size {
        try await file.abandon()
        throw DestinationError(
          .noSpace,
          "\(path) needs \(size) bytes, and \(address.endpoint) has \(volume.free) bytes free of \(volume.size).",
          nextStep: "Free space on the server, then start again.")
      }
      space.remember(volume, of: folder, less: size)
    }
    await pool.expect(size ?? 0)
    return file
  }

  public func reopen(_ path: RemotePath) async throws(DestinationError) -> any RemoteFile {
    try Self.checkName(path)
    let file = SFTPRemoteFile(path, pool: pool, hashing: hashing)
    try await pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.recoverReplaced(path)
      file.adopt(try await connection.openReadable(path.part.text, .updateReadable, else: .update), of: connection)
    }
    return file
  }

  public func digest(of path: RemotePath) async throws(DestinationError) -> ContentDigest {
    let size = try await pool.withConnection { (connection) async throws(SFTPError) in
      guard let found = try await connection.attributes(of: path.text) else {
        throw SFTPStatus.missing(path.text, at: connection.endpoint)
      }
      return found.size ?? 0
    }
    let reader = SFTPReader(path.text, SFTPHandles(path.text, .read), pool)
    do throws(DestinationError) {
      let digest = try await reader.digest(of: 0..<size, hashing)
      await reader.handles.close()
      return digest
    } catch {
      await reader.handles.close()
      throw error
    }
  }

  public func removePart(of path: RemotePath) async throws(DestinationError) {
    try Self.checkName(path)
    try await pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.removeIfPresent(path.part.text)
    }
  }

  public func close() async { await pool.close() }
  public func abort() async { await pool.abort() }

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
  /// Makes an empty .part file, and the folders above it if they are missing: one round trip where they are there.
  func openPart(
    _ path: RemotePath, volumeOf folder: String?, lookAhead: Bool, folderMode: UInt16? = nil
  ) async throws(SFTPError) -> Opened {
    // Only a server that can't replace in one step can have been left halfway.
    if try extensions()[Self.posixRename] == nil { try await recoverReplaced(path) }
    let other = lookAhead ? path.text : nil
    var hasFolders = false
    var mode = SFTPOpenMode.createReadable
    while true {
      do throws(SFTPError) {
        return try await open(path.part.text, mode, volumeOf: folder, lookAt: other)
      } catch {
        if error.kind == .noSuchFile, !hasFolders {
          let made = try await makeDirectories(path.parent)
          // Not by the folder's making alone: the server's umask takes bits away there.
          if let folderMode { for folder in made { try await set(permissions: folderMode, of: folder.text) } }
          hasFolders = true
        } else if error.kind == .permissionDenied, mode == .createReadable {
          mode = .create  // a folder that only takes files
        } else {
          throw error
        }
      }
    }
  }

  func openReadable(
    _ path: String, _ mode: SFTPOpenMode, else other: SFTPOpenMode
  ) async throws(SFTPError) -> SFTPHandle {
    do throws(SFTPError) { return try await open(path, mode) } catch {
      if error.kind != .permissionDenied { throw error }
      return try await open(path, other)
    }
  }

  /// Makes the folders that are missing and returns them, topmost first. Two that do so at once don't disturb each
  /// other.
  func makeDirectories(_ path: RemotePath) async throws(SFTPError) -> [RemotePath] {
    var missing: [RemotePath] = []
    var folder = path
    while folder.name != nil {
      if let found = try await attributes(of: folder.text) {
        if !found.isDirectory { throw Self.notAFolder(folder, endpoint) }
        break
      }
      missing.append(folder)
      folder = folder.parent
    }
    for folder in missing.reversed() {
      do throws(SFTPError) { try await makeDirectory(folder.text) } catch {
        guard isUsable, try await attributes(of: folder.text)?.isDirectory == true else { throw error }
      }
    }
    return missing.reversed()
  }

  private static func notAFolder(_ path: RemotePath, _ endpoint: SSHEndpoint) -> SFTPError {
    SFTPError(.alreadyExists, "\(path) at \(endpoint) is a file, not a folder.", nextStep: "Choose another folder.")
  }

  func removeIfPresent(_ path: String) async throws(SFTPError) {
    do throws(SFTPError) { try await remove(path) } catch {
      if error.kind != .noSuchFile { throw error }
    }
  }
}
