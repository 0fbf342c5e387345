// Files and folders that only their owner may read: data folders (0700), keys and secrets (0600). A key is made exactly
// once, even if the program is killed half-way or two start at the same time.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

public enum PrivateFile {
  /// Makes a folder and those above it, all 0700; a folder that is there is narrowed to its owner.
  public static func makeFolder(_ path: String) throws(ServiceFailure) {
    var made = path.hasPrefix("/") ? "/" : ""
    for part in path.split(separator: "/") {
      made += made.isEmpty || made.hasSuffix("/") ? String(part) : "/" + part
      if mkdir(made, 0o700) != 0 && errno != EEXIST {
        throw .system("The folder \(made) can't be made", next: "Name a data folder that this user may write to.")
      }
    }
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw ServiceFailure("\(path) is not a folder.", nextStep: "Name another data folder.")
    }
    if status.st_mode & 0o077 != 0, chmod(path, 0o700) != 0 {
      throw .system("The folder \(path) can't be closed to others", next: "Make its owner the user that runs this.")
    }
  }

  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  public static func read(_ path: String, maximumSize: Int) throws(ServiceFailure) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw .system("The file \(path) can't be opened", next: "Check its path and its rights.") }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: maximumSize + 1)
    var filled = 0
    while filled < bytes.count {
      let count = bytes.withUnsafeMutableBytes { systemRead(file, $0, from: filled) }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw .system("The file \(path) can't be read", next: "Check its disk.") }
      if count == 0 { break }
      filled += count
    }
    guard filled <= maximumSize else {
      throw ServiceFailure(
        "The file \(path) is longer than \(maximumSize) bytes.", nextStep: "See that it is the file that was meant.")
    }
    return Array(bytes[..<filled])
  }

  private static func systemRead(_ file: Int32, _ buffer: UnsafeMutableRawBufferPointer, from start: Int) -> Int {
    let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[start...])
    #if canImport(Glibc)
      return Glibc.read(file, rest.baseAddress, rest.count)
    #elseif canImport(Musl)
      return Musl.read(file, rest.baseAddress, rest.count)
    #else
      return Darwin.read(file, rest.baseAddress, rest.count)
    #endif
  }

  /// The file's bytes, or those of `make`, written with mode 0600 and on disk before they are returned. They are
  /// written under another name and then linked, which fails if the file has appeared meanwhile: then that one counts.
  public static func readOrMake(
    _ path: String, maximumSize: Int, make: () -> [UInt8]
  ) throws(ServiceFailure) -> [UInt8] {
    if exists(path) { return try read(path, maximumSize: maximumSize) }
    let draft = "\(path).\(RandomID.make()).new"
    let bytes = make()
    let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw .system("The file \(draft) can't be made", next: "Check the folder's rights.") }
    defer { unlink(draft) }
    let isWritten = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) } == bytes.count && fsync(file) == 0
    close(file)
    guard isWritten else { throw .system("The file \(draft) can't be written", next: "Free space on its disk.") }
    if link(draft, path) != 0 {
      guard errno == EEXIST else { throw .system("The file \(path) can't be made", next: "Check the folder's rights.") }
      return try read(path, maximumSize: maximumSize)
    }
    syncFolder(of: path)
    return bytes
  }

  /// The new name itself has to survive a power cut.
  private static func syncFolder(of path: String) {
    let end = path.lastIndex(of: "/")
    let folder = open(end.map { String(path[..<$0]) + "/" } ?? ".", O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { return }
    fsync(folder)
    close(folder)
  }
}

extension ServiceFailure {
  /// With the system's word for the last error.
  static func system(_ message: String, next: String) -> ServiceFailure {
    ServiceFailure("\(message): \(String(cString: strerror(errno))).", nextStep: next)
  }
}
