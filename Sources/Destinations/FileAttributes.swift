// What a file is given beside its bytes, and how it is said to each kind of server.
import Glibc
import Transport

public struct FileAttributes: Sendable, Equatable {
  /// Permission bits: 0o640.
  public var mode: UInt16?
  /// Seconds since 1970.
  public var modified: Int64?

  public init(mode: UInt16? = nil, modified: Int64? = nil) {
    self.mode = mode
    self.modified = modified
  }

  public var isEmpty: Bool { mode == nil && modified == nil }
}

extension FTPConnection {
  /// Throws `unsupported` for what the server has no command for, after it has done the rest.
  func set(_ attributes: FileAttributes, of path: RemotePath, at part: String) throws(FTPError) {
    var refused: [String] = []
    if let mode = attributes.mode, try !setMode(mode, of: part) { refused.append("permissions") }
    if let modified = attributes.modified, try !setModified(modified, of: part) { refused.append("times") }
    guard !refused.isEmpty else { return }
    throw FTPError(
      .unsupported, "\(endpoint) sets no \(refused.joined(separator: " and ")) of files.",
      nextStep: "Leave them out for this server.")
  }
}

extension FolderDescriptor {
  func set(_ attributes: FileAttributes, of path: RemotePath) throws(DestinationError) {
    if let mode = attributes.mode, fchmod(raw, mode_t(mode)) != 0 {
      throw FolderPath.error(errno, "set the permissions of \(path)")
    }
    guard let modified = attributes.modified else { return }
    let time = timespec(tv_sec: Int(modified), tv_nsec: 0)
    guard futimens(raw, [time, time]) == 0 else { throw FolderPath.error(errno, "set the time of \(path)") }
  }
}
