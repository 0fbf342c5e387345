// The SFTP operations of a connection: attributes, folders, whole-buffer writes and deep reads at 64-bit offsets,
// renames. Paths are passed to the server as they are (UTF-8): what a safe path is, is the business of the Destinations
// library.
import CSSH2
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

  private func isType(_ type: Int32) -> Bool {
    permissions.map { Int32($0) & LIBSSH2_SFTP_S_IFMT == type } ?? false
  }
  public var isDirectory: Bool { isType(LIBSSH2_SFTP_S_IFDIR) }
  public var isRegularFile: Bool { isType(LIBSSH2_SFTP_S_IFREG) }
  public var isSymbolicLink: Bool { isType(LIBSSH2_SFTP_S_IFLNK) }

  init(_ raw: LIBSSH2_SFTP_ATTRIBUTES) {
    func has(_ flag: Int32) -> Bool { raw.flags & UInt(flag) != 0 }
    size = has(LIBSSH2_SFTP_ATTR_SIZE) ? Int64(clamping: raw.filesize) : nil
    permissions = has(LIBSSH2_SFTP_ATTR_PERMISSIONS) ? UInt32(truncatingIfNeeded: raw.permissions) : nil
    modified = has(LIBSSH2_SFTP_ATTR_ACMODTIME) ? Int64(clamping: raw.mtime) : nil
  }
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

public enum SFTPOpenMode: Sendable {
  case read
  /// Makes the file, or empties the one that is there.
  case create
  /// Makes the file and fails if there is one.
  case createNew
  /// Opens a file that must be there, and leaves its bytes.
  case update

  var flags: UInt {
    switch self {
    case .read: UInt(LIBSSH2_FXF_READ)
    case .create: UInt(LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_TRUNC)
    case .createNew: UInt(LIBSSH2_FXF_WRITE | LIBSSH2_FXF_CREAT | LIBSSH2_FXF_EXCL)
    case .update: UInt(LIBSSH2_FXF_WRITE)
    }
  }
}

extension SFTPConnection {
  /// What libssh2 is handed at once: it keeps this much in flight, in packets of 30,000 bytes.
  static let writeWindow = 1 << 20
  /// One read call's buffer; libssh2 asks ahead for four times as much.
  static let readWindow = 256 << 10
  /// A longer listing than this is refused.
  public static let maxDirectoryEntries = 100_000

  // MARK: Attributes

  /// Nil if there is no such file. `followLinks: false` is lstat.
  public func attributes(of path: String, followLinks: Bool = true) throws(SFTPError) -> SFTPAttributes? {
    let (_, sftp) = try live()
    var raw = LIBSSH2_SFTP_ATTRIBUTES()
    let kind = followLinks ? LIBSSH2_SFTP_STAT : LIBSSH2_SFTP_LSTAT
    if libssh2_sftp_stat_ex(sftp, path, UInt32(path.utf8.count), kind, &raw) == 0 { return SFTPAttributes(raw) }
    let error = failure("look at \(path)")
    if error.kind == .noSuchFile { return nil }
    throw error
  }

  public func attributes(of handle: SFTPHandle) throws(SFTPError) -> SFTPAttributes {
    _ = try live()
    let file = try file(handle)
    var raw = LIBSSH2_SFTP_ATTRIBUTES()
    guard libssh2_sftp_fstat_ex(file.raw, &raw, 0) == 0 else { throw failure("look at \(file.path)") }
    return SFTPAttributes(raw)
  }

  /// Seconds since 1970, 32 bits wide in SFTP version 3.
  public func setModified(_ seconds: UInt32, of path: String) throws(SFTPError) {
    let (_, sftp) = try live()
    var raw = LIBSSH2_SFTP_ATTRIBUTES()
    raw.flags = UInt(LIBSSH2_SFTP_ATTR_ACMODTIME)
    raw.atime = UInt(seconds)
    raw.mtime = UInt(seconds)
    guard libssh2_sftp_stat_ex(sftp, path, UInt32(path.utf8.count), LIBSSH2_SFTP_SETSTAT, &raw) == 0 else {
      throw failure("set the time of \(path)")
    }
  }

  /// Cuts or stretches the file to `size` bytes.
  public func truncate(_ handle: SFTPHandle, to size: Int64) throws(SFTPError) {
    _ = try live()
    let file = try file(handle)
    var raw = LIBSSH2_SFTP_ATTRIBUTES()
    raw.flags = UInt(LIBSSH2_SFTP_ATTR_SIZE)
    raw.filesize = UInt64(max(0, size))
    guard libssh2_sftp_fstat_ex(file.raw, &raw, 1) == 0 else { throw failure("cut \(file.path)") }
  }

  public func realPath(of path: String) throws(SFTPError) -> String {
    let (_, sftp) = try live()
    let maxPath = 4096
    var buffer = [CChar](repeating: 0, count: maxPath)
    let count = libssh2_sftp_symlink_ex(
      sftp, path, UInt32(path.utf8.count), &buffer, UInt32(maxPath), LIBSSH2_SFTP_REALPATH)
    guard count >= 0 else { throw failure("resolve \(path)") }
    return String(decoding: buffer.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Nil if the server doesn't offer statvfs@openssh.com.
  public func volume(of path: String) throws(SFTPError) -> SFTPVolume? {
    let (_, sftp) = try live()
    var raw = LIBSSH2_SFTP_STATVFS()
    guard libssh2_sftp_statvfs(sftp, path, path.utf8.count, &raw) == 0 else {
      let error = failure("tell the free space at \(path)")
      if error.kind == .unsupported { return nil }
      throw error
    }
    func bytes(_ blocks: UInt64) -> Int64 {
      let (product, overflow) = blocks.multipliedReportingOverflow(by: max(raw.f_frsize, 1))
      return overflow ? .max : Int64(clamping: product)
    }
    return SFTPVolume(free: bytes(raw.f_bavail), size: bytes(raw.f_blocks))
  }

  // MARK: Folders and names

  public func makeDirectory(_ path: String, permissions: Int = 0o755) throws(SFTPError) {
    let (_, sftp) = try live()
    guard libssh2_sftp_mkdir_ex(sftp, path, UInt32(path.utf8.count), permissions) == 0 else {
      throw failure("make the folder \(path)")
    }
  }

  public func removeDirectory(_ path: String) throws(SFTPError) {
    let (_, sftp) = try live()
    guard libssh2_sftp_rmdir_ex(sftp, path, UInt32(path.utf8.count)) == 0 else {
      throw failure("remove the folder \(path)")
    }
  }

  public func remove(_ path: String) throws(SFTPError) {
    let (_, sftp) = try live()
    guard libssh2_sftp_unlink_ex(sftp, path, UInt32(path.utf8.count)) == 0 else { throw failure("remove \(path)") }
  }

  /// SSH_FXP_RENAME. OpenSSH never replaces a file by it (SSH_FX_FAILURE if `target` exists); other servers may.
  public func rename(_ source: String, to target: String) throws(SFTPError) {
    let (_, sftp) = try live()
    let status = libssh2_sftp_rename_ex(
      sftp, source, UInt32(source.utf8.count), target, UInt32(target.utf8.count), 0)
    guard status == 0 else { throw failure("rename \(source) to \(target)") }
  }

  /// Without "." and "..".
  public func list(_ path: String) throws(SFTPError) -> [SFTPDirectoryEntry] {
    let (_, sftp) = try live()
    guard let directory = libssh2_sftp_open_ex(
      sftp, path, UInt32(path.utf8.count), 0, 0, LIBSSH2_SFTP_OPENDIR)
    else { throw failure("list \(path)") }
    defer { libssh2_sftp_close_handle(directory) }
    let maxName = 4096
    var name = [CChar](repeating: 0, count: maxName)
    var entries: [SFTPDirectoryEntry] = []
    while true {
      var raw = LIBSSH2_SFTP_ATTRIBUTES()
      let count = libssh2_sftp_readdir_ex(directory, &name, maxName, nil, 0, &raw)
      guard count >= 0 else { throw failure("list \(path)") }
      if count == 0 { return entries }
      let text = String(decoding: name.prefix(Int(count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if text == "." || text == ".." { continue }
      guard entries.count < Self.maxDirectoryEntries else {
        throw SFTPError(
          .failure, "The folder \(path) at \(endpoint) has more than \(Self.maxDirectoryEntries) entries.",
          nextStep: "Choose a smaller folder.")
      }
      entries.append(SFTPDirectoryEntry(name: text, attributes: SFTPAttributes(raw)))
    }
  }

  // MARK: File contents

  public func open(_ path: String, _ mode: SFTPOpenMode, permissions: Int = 0o644) throws(SFTPError) -> SFTPHandle {
    let (_, sftp) = try live()
    guard files.count < Self.maxHandles else {
      throw SFTPError(
        .failure, "More than \(Self.maxHandles) files are open on one connection to \(endpoint).",
        nextStep: "Close some first.")
    }
    let raw = libssh2_sftp_open_ex(
      sftp, path, UInt32(path.utf8.count), mode.flags, permissions, LIBSSH2_SFTP_OPENFILE)
    guard let raw else { throw failure("open \(path)") }
    return register(raw, path: path)
  }

  /// Some servers tell only here that the last bytes found no room.
  public func close(_ handle: SFTPHandle) throws(SFTPError) {
    let file = try file(handle)
    files[handle.number] = nil
    guard libssh2_sftp_close_handle(file.raw) == 0 else { throw failure("close \(file.path)") }
  }

  /// Returns once the server has acknowledged every byte.
  public func write(_ bytes: ByteBuffer, at offset: Int64, to handle: SFTPHandle) throws(SFTPError) {
    _ = try live()
    let file = try file(handle)
    libssh2_sftp_seek64(file.raw, UInt64(offset))
    let left = bytes.withUnsafeReadableBytes { source in
      var left = source
      while !left.isEmpty {
        let start = left.bindMemory(to: CChar.self).baseAddress
        let count = libssh2_sftp_write(file.raw, start, min(left.count, Self.writeWindow))
        if count <= 0 { break }
        left = UnsafeRawBufferPointer(rebasing: left.dropFirst(count))
      }
      return left.count
    }
    guard left > 0 else { return }
    let error = failure("write to \(file.path)")
    guard error.kind == .failure else { throw error }
    throw try explain(error, unwritten: left, path: file.path)
  }

  /// OpenSSH answers a full disk with a plain SSH_FX_FAILURE: the free space tells which it was.
  private func explain(_ error: SFTPError, unwritten: Int, path: String) throws(SFTPError) -> SFTPError {
    guard let volume = try volume(of: path), volume.free < Int64(unwritten) else { return error }
    return SFTPError(
      .noSpace, "\(endpoint) couldn't write to \(path): its disk has \(volume.free) bytes free of \(volume.size).",
      nextStep: "Free space on the server, then start again.", providerCode: error.providerCode)
  }

  /// Reads `range` in pieces and folds them into `state`, with reads in flight ahead of the piece at hand. The piece's
  /// memory is only lent for the call. Ranges that follow each other on one handle keep the reads ahead. A file that
  /// ends early throws.
  public func read<State: Sendable>(
    _ range: Range<Int64>, from handle: SFTPHandle, into state: State,
    _ body: @Sendable (inout State, UnsafeRawBufferPointer) -> Void
  ) throws(SFTPError) -> State {
    _ = try live()
    let file = try file(handle)
    var state = state
    if libssh2_sftp_tell64(file.raw) != UInt64(range.lowerBound) {
      libssh2_sftp_seek64(file.raw, UInt64(range.lowerBound))
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.readWindow, alignment: 16)
    defer { buffer.deallocate() }
    var left = Int64(range.count)
    while left > 0 {
      if Task.isCancelled {
        throw SFTPError(.cancelled, "Reading \(file.path) was cancelled.", nextStep: "Start it again if it is wanted.")
      }
      let want = Int(min(left, Int64(Self.readWindow)))
      let count = libssh2_sftp_read(file.raw, buffer.bindMemory(to: CChar.self).baseAddress, want)
      guard count >= 0 else { throw failure("read \(file.path)") }
      guard count > 0 else {
        throw SFTPError(
          .failure, "The file \(file.path) at \(endpoint) ends \(left) bytes short of \(range.upperBound).",
          nextStep: "Send the missing part again.", providerCode: "SSH_FX_EOF")
      }
      body(&state, UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      left -= Int64(count)
    }
    return state
  }

  /// Reads the bytes of `range` that the file has: fewer at its end.
  public func read(_ range: Range<Int64>, from handle: SFTPHandle) throws(SFTPError) -> ByteBuffer {
    let size = try attributes(of: handle).size ?? range.upperBound
    let present = range.clamped(to: 0..<max(size, 0))
    let empty = ByteBuffer()
    return try read(present, from: handle, into: empty) { bytes, piece in bytes.writeBytes(piece) }
  }

  /// False if the server doesn't offer fsync@openssh.com.
  public func flush(_ handle: SFTPHandle) throws(SFTPError) -> Bool {
    _ = try live()
    let file = try file(handle)
    if libssh2_sftp_fsync(file.raw) == 0 { return true }
    let error = failure("flush \(file.path)")
    if error.kind == .unsupported { return false }
    throw error
  }
}
