// The disk under FolderObjectStore: resolves names under the root, refuses every way out of it, and reads what is
// there.
import Glibc

struct FolderFiles: Sendable {
  /// A directory with more entries can't be listed in order within bounded memory.
  static let maxEntries = 1_000_000

  struct File: Sendable, Equatable {
    var path: String  // absolute, links resolved
    var size: Int64
    var modifiedNanoseconds: Int64
    var inode: UInt64

    /// Another content has another size, time or inode; a rewrite within the file system's clock tick could escape,
    /// which is why the transfer looks again after it has read.
    var etag: String {
      "\"\(String(size, radix: 16))-\(String(modifiedNanoseconds, radix: 16))-\(String(inode, radix: 16))\""
    }
  }

  struct Entry: Sendable {
    enum Kind: Sendable { case file, directory, link }
    var name: String
    var kind: Kind
  }

  let root: String

  /// Throws `missing` where the root is no directory.
  func realRoot() throws(ObjectStoreError) -> String {
    guard let real = Self.resolved(root), Self.isDirectory(real) else {
      throw Self.error(.missing, "There is no folder \(root).", "Create it, or correct the connection's root.")
    }
    return real
  }

  func realBucket(_ bucket: String) throws(ObjectStoreError) -> String {
    guard Self.isPlainName(bucket) else {
      throw Self.error(.invalid, "\(bucket.debugDescription) is no bucket name.", "Give the name of a directory.")
    }
    let top = try realRoot()
    guard let real = Self.resolved("\(top)/\(bucket)"), Self.isDirectory(real) else {
      throw Self.error(
        .missing, "There is no directory \(bucket.debugDescription) in \(root).", "Check the bucket's name.")
    }
    guard Self.isInside(real, top) else { throw Self.outside(bucket) }
    return real
  }

  /// Throws `missing`, `denied` where a link leads outside the root, `invalid` for a key that is no relative path.
  func file(_ object: ObjectReference) throws(ObjectStoreError) -> File {
    let parts = object.key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    guard !object.key.isEmpty, object.key.utf8.count <= ObjectStoreLimits.maxKeyBytes,
      parts.allSatisfy({ Self.isPlainName(String(Substring($0))) })
    else {
      throw Self.error(
        .invalid, "\(String(object.key.prefix(255)).debugDescription) is no key of a file in a folder.",
        "Give a relative path without empty parts, \".\" and \"..\".")
    }
    let top = try realRoot()
    let bucket = try realBucket(object.bucket)
    guard let real = Self.resolved("\(bucket)/\(object.key)") else {
      let reason = errno
      throw reason == EACCES
        ? Self.error(.denied, "\(object.key.debugDescription) can't be reached: permission denied.", Self.readRights)
        : Self.missing(object)
    }
    guard Self.isInside(real, top) else { throw Self.outside(object.key) }
    guard let file = Self.regularFile(real) else { throw Self.missing(object) }
    return file
  }

  /// Names that are UTF-8, in no order; pipes, sockets and devices left out.
  func entries(of directory: String) throws(ObjectStoreError) -> [Entry] {
    guard let stream = opendir(directory) else {
      let reason = errno
      // It may have been removed while the list was being made.
      if reason == ENOENT { return [] }
      throw Self.error(
        .denied, "The directory \(directory) can't be read: \(String(cString: strerror(reason))).", Self.readRights)
    }
    defer { closedir(stream) }
    var entries: [Entry] = []
    while let entry = readdir(stream) {
      let type = Int(entry.pointee.d_type)
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      guard let name, name != ".", name != ".." else { continue }
      guard let kind = Self.kind(type, "\(directory)/\(name)") else { continue }
      entries.append(Entry(name: name, kind: kind))
      guard entries.count <= Self.maxEntries else {
        throw Self.error(
          .invalid, "The directory \(directory) has over \(Self.maxEntries) entries.", "Split it into several.")
      }
    }
    return entries
  }

  // MARK: - Disk

  static func regularFile(_ path: String) -> File? {
    var info = Glibc.stat()
    guard lstat(path, &info) == 0, info.st_mode & S_IFMT == S_IFREG else { return nil }
    return File(
      path: path, size: Int64(info.st_size),
      modifiedNanoseconds: Int64(info.st_mtim.tv_sec) * 1_000_000_000 + Int64(info.st_mtim.tv_nsec),
      inode: UInt64(info.st_ino))
  }

  /// realpath(3): absolute, without links; nil with errno where it leads nowhere.
  static func resolved(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(validatingCString: real)
  }

  static func isInside(_ path: String, _ top: String) -> Bool {
    top == "/" || path.utf8.count > top.utf8.count && path.utf8.starts(with: (top + "/").utf8)
  }

  private static func isDirectory(_ path: String) -> Bool {
    var info = Glibc.stat()
    return lstat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
  }

  private static func kind(_ type: Int, _ path: String) -> Entry.Kind? {
    switch type {
    case Int(DT_REG): return .file
    case Int(DT_DIR): return .directory
    case Int(DT_LNK): return .link
    case Int(DT_UNKNOWN):  // file systems that keep no types in directories
      var info = Glibc.stat()
      guard lstat(path, &info) == 0 else { return nil }
      switch info.st_mode & S_IFMT {
      case S_IFREG: return .file
      case S_IFDIR: return .directory
      case S_IFLNK: return .link
      default: return nil
      }
    default: return nil
    }
  }

  private static func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".." && !name.utf8.contains { $0 == 0 || $0 == UInt8(ascii: "/") }
  }

  // MARK: - Errors

  private static let readRights = "Give the user this service runs as the right to read it."

  private static func missing(_ object: ObjectReference) -> ObjectStoreError {
    error(
      .missing, "There is no file \(String(object.key.prefix(255)).debugDescription) in \(object.bucket).",
      "Check the key; it is case-sensitive.")
  }

  private static func outside(_ name: String) -> ObjectStoreError {
    error(
      .denied, "\(String(name.prefix(255)).debugDescription) is a link that leads outside the connection's folder.",
      "Put the file itself there, or make a connection for the folder it leads to.")
  }

  static func error(_ kind: ObjectStoreError.Kind, _ message: String, _ nextStep: String) -> ObjectStoreError {
    ObjectStoreError(kind, provider: FolderObjectStore.provider, message: message, nextStep: nextStep)
  }
}
