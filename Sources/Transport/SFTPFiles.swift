// The SFTP operations of a connection: attributes, folders, renames. Reading and writing are in SFTPContents.swift.
// Paths are passed to the server as they are (UTF-8): what a safe path is, is the business of the Destinations library.
import NIOCore

/// What a server says of a file. A field is nil if the server left it out.
public struct SFTPAttributes: Sendable, Equatable {
  public var size: Int64?
  public var permissions: UInt32?
  /// Seconds since 1970.
  public var modified: Int64?

  public init(size: Int64? = nil, permissions: UInt32? = nil, modified: Int64? = nil) {
    self.size = size
    self.permissions = permissions
    self.modified = modified
  }

  /// The file type bits of st_mode(2), as every server sends them.
  private func isType(_ type: UInt32) -> Bool { permissions.map { $0 & 0o170000 == type } ?? false }
  public var isDirectory: Bool { isType(0o040000) }
  public var isRegularFile: Bool { isType(0o100000) }
  public var isSymbolicLink: Bool { isType(0o120000) }
}

public struct SFTPDirectoryEntry: Sendable, Equatable {
  public var name: String
  public var attributes: SFTPAttributes
}

/// The file system that a path is on, as statvfs@openssh.com tells it, in bytes.
public struct SFTPVolume: Sendable, Equatable {
  /// What this login may still write.
  public var free: Int64
  public var size: Int64
}

extension SFTPConnection {
  public static let posixRename = "posix-rename@openssh.com"
  static let statVFS = "statvfs@openssh.com"
  static let fsync = "fsync@openssh.com"
  /// A longer listing than this is refused.
  public static let maxDirectoryEntries = 100_000

  /// The extensions that the server offers, with their versions.
  public func extensions() throws(SFTPError) -> [String: String] {
    if !isUsable { throw closed }
    return offeredExtensions
  }

  func body(_ paths: String...) -> ByteBuffer {
    var body = ByteBuffer()
    for path in paths { body.writeSSHString(path) }
    return body
  }

  // MARK: Attributes

  /// Nil if there is no such file. `followLinks: false` is lstat.
  public func attributes(of path: String, followLinks: Bool = true) async throws(SFTPError) -> SFTPAttributes? {
    let type = followLinks ? SFTPPacket.stat : SFTPPacket.lstat
    let reply = try await ask(type, body(path), "look at \(path)")
    if reply.status == SFTPStatus.noSuchFile { return nil }
    return try attributes(reply, "look at \(path)")
  }

  public func attributes(of handle: SFTPHandle) async throws(SFTPError) -> SFTPAttributes {
    let file = try file(handle)
    var body = ByteBuffer()
    body.writeSSHBytes(file.raw)
    return try attributes(try await ask(SFTPPacket.fstat, body, "look at \(file.path)"), "look at \(file.path)")
  }

  private func attributes(_ reply: SFTPReply, _ action: String) throws(SFTPError) -> SFTPAttributes {
    if let attributes = attributes(reply) { return attributes }
    throw refusal(reply.status, action)
  }

  /// Nil if the reply is none with attributes.
  func attributes(_ reply: SFTPReply) -> SFTPAttributes? {
    var body = reply.body
    return reply.type == SFTPPacket.attributes ? body.readSFTPAttributes() : nil
  }

  /// - Parameter modified: seconds since 1970, 32 bits wide in SFTP version 3.
  public func set(permissions: UInt16? = nil, modified: Int64? = nil, of handle: SFTPHandle) async throws(SFTPError) {
    let file = try file(handle)
    var body = ByteBuffer()
    body.writeSSHBytes(file.raw)
    Self.write(permissions, modified, to: &body)
    try await order(SFTPPacket.fsetstat, body, "set permissions or time of \(file.path)")
  }

  public func set(permissions: UInt16, of path: String) async throws(SFTPError) {
    var body = body(path)
    Self.write(permissions, nil, to: &body)
    try await order(SFTPPacket.setstat, body, "set the permissions of \(path)")
  }

  /// SSH_FILEXFER_ATTR_PERMISSIONS and _ACMODTIME (draft-ietf-secsh-filexfer-02, section 5).
  private static func write(_ permissions: UInt16?, _ modified: Int64?, to body: inout ByteBuffer) {
    body.writeInteger(UInt32((permissions == nil ? 0 : 4) | (modified == nil ? 0 : 8)))
    if let permissions { body.writeInteger(UInt32(permissions)) }
    guard let modified else { return }
    for _ in 0..<2 { body.writeInteger(UInt32(clamping: modified)) }
  }

  /// Cuts or stretches the file to `size` bytes.
  public func truncate(_ handle: SFTPHandle, to size: Int64) async throws(SFTPError) {
    let file = try file(handle)
    var body = ByteBuffer()
    body.writeSSHBytes(file.raw)
    body.writeInteger(UInt32(1))
    body.writeInteger(UInt64(max(0, size)))
    try await order(SFTPPacket.fsetstat, body, "cut \(file.path)")
  }

  public func realPath(of path: String) async throws(SFTPError) -> String {
    let reply = try await ask(SFTPPacket.realPath, body(path), "resolve \(path)")
    var body = reply.body
    guard reply.type == SFTPPacket.name, body.readInteger(as: UInt32.self) == 1, let name = body.readSSHString() else {
      throw refusal(reply.status, "resolve \(path)")
    }
    return name
  }

  /// Nil if the server doesn't offer statvfs@openssh.com.
  public func volume(of path: String) async throws(SFTPError) -> SFTPVolume? {
    guard offeredExtensions[Self.statVFS] != nil else { return nil }
    let request = volumeRequest(path)
    let reply = try await ask(request.type, request.body, request.action)
    if reply.status == SFTPStatus.unsupported { return nil }
    guard let volume = volume(reply) else { throw refusal(reply.status, request.action) }
    return volume
  }

  func volumeRequest(_ path: String) -> Request {
    Request(type: SFTPPacket.extended, body: body(Self.statVFS, path), action: "tell the free space at \(path)")
  }

  /// Nil if the reply is none of statvfs@openssh.com: f_bsize, f_frsize, f_blocks, f_bfree, f_bavail and more.
  func volume(_ reply: SFTPReply) -> SFTPVolume? {
    var body = reply.body
    guard reply.type == SFTPPacket.extendedReply, body.readInteger(as: UInt64.self) != nil,
      let unit = body.readInteger(as: UInt64.self), let blocks = body.readInteger(as: UInt64.self),
      body.readInteger(as: UInt64.self) != nil, let available = body.readInteger(as: UInt64.self)
    else { return nil }
    func bytes(_ blocks: UInt64) -> Int64 {
      let (product, overflow) = blocks.multipliedReportingOverflow(by: max(unit, 1))
      return overflow ? .max : Int64(clamping: product)
    }
    return SFTPVolume(free: bytes(available), size: bytes(blocks))
  }

  // MARK: Folders and names

  public func makeDirectory(_ path: String, permissions: UInt32 = 0o755) async throws(SFTPError) {
    var body = body(path)
    body.writeInteger(UInt32(4))
    body.writeInteger(permissions)
    try await order(SFTPPacket.makeFolder, body, "make the folder \(path)")
  }

  public func removeDirectory(_ path: String) async throws(SFTPError) {
    try await order(SFTPPacket.removeFolder, body(path), "remove the folder \(path)")
  }

  public func remove(_ path: String) async throws(SFTPError) {
    try await order(SFTPPacket.remove, body(path), "remove \(path)")
  }

  /// SSH_FXP_RENAME. OpenSSH never replaces a file by it (SSH_FX_FAILURE if `target` exists); other servers may.
  public func rename(_ source: String, to target: String) async throws(SFTPError) {
    try await order(SFTPPacket.rename, body(source, target), "rename \(source) to \(target)")
  }

  /// Renames in one step, over a `target` that may exist. Throws `unsupported` if the server has no
  /// posix-rename@openssh.com.
  public func replace(_ target: String, with source: String) async throws(SFTPError) {
    let action = "rename \(source) over \(target)"
    guard offeredExtensions[Self.posixRename] != nil else { throw refusal(SFTPStatus.unsupported, action) }
    try await order(SFTPPacket.extended, body(Self.posixRename, source, target), action)
  }

  /// Without "." and "..".
  public func list(_ path: String) async throws(SFTPError) -> [SFTPDirectoryEntry] {
    let action = "list \(path)"
    let raw = try handle(try await ask(SFTPPacket.openFolder, body(path), action), action)
    var body = ByteBuffer()
    body.writeSSHBytes(raw)
    do throws(SFTPError) {
      var entries: [SFTPDirectoryEntry] = []
      while true {
        let reply = try await ask(SFTPPacket.readFolder, body, action)
        if reply.status == SFTPStatus.endOfFile { break }
        try entries.append(contentsOf: names(reply, action))
        guard entries.count <= Self.maxDirectoryEntries else {
          throw SFTPError(
            .failure, "The folder \(path) at \(endpoint) has more than \(Self.maxDirectoryEntries) entries.",
            nextStep: "Choose a smaller folder.")
        }
      }
      try await order(SFTPPacket.close, body, action)
      return entries
    } catch {
      try? await order(SFTPPacket.close, body, action)  // the first error is the one to tell
      throw error
    }
  }

  private func names(_ reply: SFTPReply, _ action: String) throws(SFTPError) -> [SFTPDirectoryEntry] {
    var body = reply.body
    guard reply.type == SFTPPacket.name, let count = body.readInteger(as: UInt32.self) else {
      throw refusal(reply.status, action)
    }
    var entries: [SFTPDirectoryEntry] = []
    for _ in 0..<count {
      guard let name = body.readSSHString(), body.readSSHBytes() != nil, let attributes = body.readSFTPAttributes()
      else { throw refusal(nil, action) }
      if name != ".", name != ".." { entries.append(SFTPDirectoryEntry(name: name, attributes: attributes)) }
    }
    return entries
  }

  func handle(_ reply: SFTPReply, _ action: String) throws(SFTPError) -> [UInt8] {
    var body = reply.body
    guard reply.type == SFTPPacket.handle, let handle = body.readSSHBytes() else {
      throw refusal(reply.status, action)
    }
    return Array(handle.readableBytesView)
  }
}
