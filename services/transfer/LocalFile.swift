// Ranges of a local file, for grants that are paths: the file must have the granted size and modification time before
// and after each read, and no link is followed at its end.
import FerryAPI
import Glibc
import NIOCore
import Transport

enum LocalFile {
  /// Blocks: call it on a work thread.
  static func read(
    _ range: Range<Int64>, of grant: ReadGrant, subject: String, _ buffers: BufferPool
  ) -> Result<ByteBuffer, DeliveryFailure> {
    let file = open(grant.path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard file >= 0 else { return .failure(unopened(errno, subject)) }
    defer { close(file) }
    if let failure = check(file, grant, subject) { return .failure(failure) }
    let count = Int(range.upperBound - range.lowerBound)
    var buffer = buffers.take(count)
    while buffer.readableBytes < count {
      let offset = range.lowerBound + Int64(buffer.readableBytes)
      let wanted = count - buffer.readableBytes
      let got = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: wanted) { raw in
        max(0, pread(file, raw.baseAddress, wanted, Int(offset)))
      }
      if got == 0 {
        if let failure = check(file, grant, subject) { return .failure(failure) }
        return .failure(
          DeliveryFailure(
            "STORAGE_UNAVAILABLE", "\(subject) could not be read: \(String(cString: strerror(errno))).",
            next: "Check the disk that holds it.", provider: "folder", subject: subject))
      }
    }
    if let failure = check(file, grant, subject) { return .failure(failure) }
    return .success(buffer)
  }

  /// What is under that name now, for the last look before a file is called delivered.
  static func confirm(_ grant: ReadGrant, subject: String) -> DeliveryFailure? {
    let file = open(grant.path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard file >= 0 else { return unopened(errno, subject) }
    defer { close(file) }
    return check(file, grant, subject)
  }

  private static func check(_ file: Int32, _ grant: ReadGrant, _ subject: String) -> DeliveryFailure? {
    var info = stat()
    guard fstat(file, &info) == 0, info.st_mode & S_IFMT == S_IFREG else {
      return .changed(subject, "it is no regular file any more")
    }
    if Int64(info.st_size) != grant.size {
      return .changed(subject, "it had \(grant.size) bytes and has \(info.st_size)")
    }
    let modified = Int64(info.st_mtim.tv_sec) * 1_000_000_000 + Int64(info.st_mtim.tv_nsec)
    return modified == grant.modifiedNS ? nil : .changed(subject, "it was written to")
  }

  private static func unopened(_ code: Int32, _ subject: String) -> DeliveryFailure {
    switch code {
    case ENOENT, ENOTDIR, ELOOP:
      DeliveryFailure(
        "OBJECT_MISSING", "There is no file \(subject) any more.", next: "Check that it is still there.",
        provider: "folder", subject: subject)
    case EACCES, EPERM:
      DeliveryFailure(
        "ACCESS_DENIED", "\(subject) can't be read: permission denied.",
        next: "Give the user the transfer service runs as the right to read it.", provider: "folder", subject: subject)
    default:
      DeliveryFailure(
        "STORAGE_UNAVAILABLE", "\(subject) can't be opened: \(String(cString: strerror(code))).", next: "Try again.",
        retryable: code == EMFILE || code == ENFILE, provider: "folder", subject: subject)
    }
  }
}
