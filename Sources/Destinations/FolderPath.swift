// Folders and files below a root, opened one name at a time by openat(2) with O_NOFOLLOW: no link leads out.
import Glibc

/// Owns a file descriptor and closes it.
final class FolderDescriptor: Sendable {
  let raw: Int32
  init(_ raw: Int32) { self.raw = raw }
  deinit { Glibc.close(raw) }
}

/// An open folder.
struct FolderPath: Sendable {
  enum Mode { case read, create, update }

  let path: RemotePath
  let descriptor: FolderDescriptor

  /// `making`: folders that are missing below the root are made, with the permission bits `folderMode`.
  static func open(
    _ path: RemotePath, _ root: RemotePath, making: Bool, folderMode: UInt16? = nil
  ) throws(DestinationError) -> FolderPath {
    guard path.base == root.base, path.parts.starts(with: root.parts) else {
      throw DestinationError(
        .invalidPath, "The path \(path) is not below \(root).",
        nextStep: "Choose a path below the destination's folder.")
    }
    let top = Glibc.open(root.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard top >= 0 else { throw error(errno, "open the folder \(root)") }
    var folder = FolderDescriptor(top)
    for name in path.parts.dropFirst(root.parts.count) {
      let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW
      var next = openat(folder.raw, name, flags)
      if next < 0, errno == ENOENT, making {
        // Another may make it at the same time.
        let made = mkdirat(folder.raw, name, 0o755) == 0
        if !made, errno != EEXIST { throw error(errno, "make the folder \(path)") }
        next = openat(folder.raw, name, flags)
        if made, next >= 0, let folderMode, fchmod(next, mode_t(folderMode)) != 0 {
          let problem = error(errno, "set the permissions of \(path)")
          Glibc.close(next)
          throw problem
        }
      }
      guard next >= 0 else { throw error(errno, "open the folder \(path)") }
      folder = FolderDescriptor(next)
    }
    return FolderPath(path: path, descriptor: folder)
  }

  func openFile(_ file: RemotePath, _ mode: Mode) throws(DestinationError) -> FolderDescriptor {
    let flags =
      switch mode {
      case .read: O_RDONLY
      case .create: O_RDWR | O_CREAT | O_TRUNC
      case .update: O_RDWR
      }
    let raw = openat(descriptor.raw, file.name ?? "", flags | O_CLOEXEC | O_NOFOLLOW, 0o644)
    guard raw >= 0 else { throw Self.error(errno, "open \(file)") }
    return FolderDescriptor(raw)
  }

  /// Of a name in this folder, links not followed; of the folder itself if `name` is nil.
  func info(_ name: String?, _ path: RemotePath) throws(DestinationError) -> RemoteInfo? {
    var found = Glibc.stat()
    let status = name.map { fstatat(descriptor.raw, $0, &found, AT_SYMLINK_NOFOLLOW) } ?? fstat(descriptor.raw, &found)
    if status != 0, errno == ENOENT { return nil }
    guard status == 0 else { throw Self.error(errno, "look at \(path)") }
    return RemoteInfo(
      size: Int64(found.st_size), modified: Int64(found.st_mtim.tv_sec), isDirectory: found.st_mode & S_IFMT == S_IFDIR)
  }

  /// Bytes that may still be written; nil if the file system doesn't tell.
  var free: Int64? {
    var volume = Glibc.statvfs()
    guard fstatvfs(descriptor.raw, &volume) == 0 else { return nil }
    let (bytes, overflow) = UInt64(volume.f_bavail).multipliedReportingOverflow(by: UInt64(max(volume.f_frsize, 1)))
    return overflow ? .max : Int64(clamping: bytes)
  }

  /// Nothing there is no error.
  func remove(_ file: RemotePath) throws(DestinationError) {
    if unlinkat(descriptor.raw, file.name ?? "", 0) != 0, errno != ENOENT { throw Self.error(errno, "remove \(file)") }
  }

  /// Gives the .part file its name, and sees the folder's own record of it onto the disk.
  func commit(_ file: RemotePath, overwrite: Bool) throws(DestinationError) {
    let (part, name) = (file.part.name ?? "", file.name ?? "")
    var status: Int32
    if overwrite {
      status = renameat(descriptor.raw, part, descriptor.raw, name)
    } else {
      // A second name is refused if it is taken, without a gap, as a rename isn't.
      status = linkat(descriptor.raw, part, descriptor.raw, name, 0)
      if status == 0 {
        status = unlinkat(descriptor.raw, part, 0)
      } else if [EPERM, EOPNOTSUPP, ENOSYS, EMLINK].contains(errno) {
        // Some file systems know no second names: the question beforehand has to do.
        guard try info(name, file) == nil else { throw Self.error(EEXIST, "rename \(file.part) to \(file)") }
        status = renameat(descriptor.raw, part, descriptor.raw, name)
      }
    }
    guard status == 0 else { throw Self.error(errno, "rename \(file.part) to \(file)") }
    guard fsync(descriptor.raw) == 0 || errno == EINVAL else { throw Self.error(errno, "flush the folder of \(file)") }
  }

  static func error(_ code: Int32, _ action: String) -> DestinationError {
    func make(_ kind: DestinationError.Kind, _ name: String, _ next: String) -> DestinationError {
      let why = strerror(code).map { String(cString: $0) } ?? "error \(code)"
      return DestinationError(kind, "This machine couldn't \(action): \(why).", nextStep: next, providerCode: name)
    }
    switch code {
    case ENOENT: return make(.missing, "ENOENT", "Check the path, and that the folder is mounted.")
    case EACCES, EPERM, EROFS: return make(.denied, "EACCES", "Give the transfer service the right to write there.")
    case EEXIST: return make(.conflict, "EEXIST", "Choose another name, or allow overwriting.")
    case EISDIR, ENOTEMPTY: return make(.conflict, "EISDIR", "Choose another name for the file.")
    case ENOTDIR: return make(.conflict, "ENOTDIR", "Choose another folder: a file or a link has its name.")
    case ELOOP: return make(.conflict, "ELOOP", "Remove the symbolic link, or choose another path.")
    case ENOSPC: return make(.noSpace, "ENOSPC", "Free space there, then start again.")
    case EDQUOT: return make(.quota, "EDQUOT", "Free space or raise the quota, then start again.")
    case ESTALE, EIO, ENOTCONN, EHOSTDOWN, ETIMEDOUT:
      return make(.unreachable, "errno \(code)", "Check the mount, then try again.")
    default: return make(.failed, "errno \(code)", "Look in this machine's log, then try again.")
    }
  }
}
