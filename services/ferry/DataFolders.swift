// The folder in which a whole FileFerry lives: a folder a service, their secrets, their logs and their process ids.
import ArgumentParser
import Crypto
import FoundationEssentials
import Glibc

struct DataFolders {
  let root: String

  /// Bytes of a log after which the next start begins a new one; the one before is kept beside it.
  static let maxLogBytes = 64 << 20

  var secrets: String { root + "/secrets" }
  func data(of service: String) -> String { root + "/" + service }
  func secret(of service: String) -> String { secrets + "/\(service).secret" }
  func pidFile(of service: String) -> String { root + "/run/\(service).pid" }

  init(root: String) throws {
    self.root = root
    try Self.makeDirectories(root)
    for name in ["secrets", "logs", "run"] { try Self.makeDirectories(root + "/" + name) }
  }

  /// One FileFerry a folder: two would write the same databases.
  func lock() throws {
    let file = root + "/run/lock"
    let descriptor = open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Self.failure(file, "cannot be opened") }
    // Kept open until the process ends, which is what releases the lock.
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw ValidationError("FileFerry already runs on \(root). Stop that one first, or name another folder with --data.")
    }
  }

  /// What a service proves itself to auth with: 32 random bytes, made once.
  func makeSecret(of service: String) throws {
    let file = secret(of: service)
    if access(file, F_OK) == 0 { return }
    let bytes = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
    let digits = Array("0123456789abcdef")
    let text = String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    let temporary = file + ".new"
    let descriptor = open(temporary, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Self.failure(temporary, "cannot be made") }
    let written = write(descriptor, text, text.utf8.count)
    fsync(descriptor)
    close(descriptor)
    guard written == text.utf8.count, rename(temporary, file) == 0 else { throw Self.failure(file, "cannot be written") }
  }

  /// Why a service that does not run says it ended: the last line of its log that tells of an error. Nil if none does.
  func lastWords(of service: String) -> String? {
    // A log that can't be read says nothing.
    let file = open(root + "/logs/\(service).log", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    let end = lseek(file, 0, SEEK_END)
    let bytes = [UInt8](unsafeUninitializedCapacity: Self.lastWordsBytes) { buffer, count in
      count = max(0, pread(file, buffer.baseAddress, buffer.count, max(0, end - Self.lastWordsBytes)))
    }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").reversed().lazy.compactMap { line in
      if line.hasPrefix("Error: ") { return String(line) }
      guard let entry = try? JSONDecoder().decode(LogLine.self, from: Data(line.utf8)),
        ["critical", "error"].contains(entry.level)
      else { return nil }
      return [entry.message, entry.error].compactMap { $0 }.joined(separator: ": ")
    }.first
  }

  private struct LogLine: Decodable {
    let level: String
    let message: String
    let error: String?
  }

  private static let lastWordsBytes = 16 << 10

  /// Opens a service's log for appending.
  func log(of service: String) throws -> Int32 {
    let file = root + "/logs/\(service).log"
    var info = stat()
    if stat(file, &info) == 0, info.st_size > Self.maxLogBytes { rename(file, file + ".1") }
    let descriptor = open(file, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Self.failure(file, "cannot be opened") }
    return descriptor
  }

  private static func makeDirectories(_ path: String) throws {
    var built = ""
    for part in path.split(separator: "/") {
      built += "/" + part
      if mkdir(built, 0o700) != 0, errno != EEXIST { throw failure(built, "cannot be made") }
    }
  }

  private static func failure(_ path: String, _ what: String) -> ValidationError {
    ValidationError("\(path) \(what): \(String(cString: strerror(errno))).")
  }
}
