// A file on its way into a folder of this machine, and the threads that its blocking calls run on.
//
// What reading back proves here: bytes are first written through to where the file system keeps them (fdatasync), and
// the page cache is asked to let go of them (POSIX_FADV_DONTNEED), so that on a disk or a network mount they come back
// from there. The kernel may keep pages that others use, and tmpfs has nowhere else: there it proves the memory alone.
import Crypto
import Glibc
import NIOCore
import Synchronization
import Transport

final class FolderFile: RemoteFile {
  private static let pieceSize = 1 << 20

  let path: RemotePath
  private let root: RemotePath
  private let threads: FolderThreads
  private let descriptor: Mutex<FolderDescriptor?>

  init(_ path: RemotePath, root: RemotePath, _ descriptor: FolderDescriptor, _ threads: FolderThreads) {
    self.path = path
    self.root = root
    self.threads = threads
    self.descriptor = Mutex(descriptor)
  }

  private func open() throws(DestinationError) -> FolderDescriptor {
    if let open = descriptor.withLock({ $0 }) { return open }
    throw DestinationError(.cancelled, "\(path) was closed.", nextStep: "Open it again.")
  }

  func write(_ bytes: ByteBuffer, at offset: Int64) async throws(DestinationError) {
    let (file, path) = (try open(), path)
    try await threads.run { () throws(DestinationError) in
      var left = bytes
      while left.readableBytes > 0 {
        let at = offset + Int64(bytes.readableBytes - left.readableBytes)
        let count = left.withUnsafeReadableBytes { pwrite(file.raw, $0.baseAddress, $0.count, off_t(at)) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw FolderPath.error(count < 0 ? errno : ENOSPC, "write to \(path.part)") }
        left.moveReaderIndex(forwardBy: count)
      }
    }
  }

  func size() async throws(DestinationError) -> Int64 {
    let (file, path) = (try open(), path)
    return try await threads.run { () throws(DestinationError) in try Self.size(file, path) }
  }

  private static func size(_ file: FolderDescriptor, _ path: RemotePath) throws(DestinationError) -> Int64 {
    var found = Glibc.stat()
    guard fstat(file.raw, &found) == 0 else { throw FolderPath.error(errno, "look at \(path)") }
    return Int64(found.st_size)
  }

  func readBack(
    chunks: Int, hashesWhole: Bool, whenWritten: @escaping ChunkGate, onChunk: @escaping ChunkReport
  ) async throws(DestinationError) -> ContentDigest? {
    let (file, path) = (try open(), path)
    let hash = ReadBackHash(hashesWhole: hashesWhole)
    for index in 0..<chunks {
      let chunk = try await whenWritten(index)
      let wanted = chunk.code.simplified(isOnly: chunks == 1, hashesWhole: hashesWhole)
      let code = try await threads.run { () throws(DestinationError) in
        hash.begin(wanted)
        try Self.read(chunk.range, of: file, path, into: hash)
        return hash.endChunk()
      }
      try await onChunk(RemoteChunk(index: index, range: chunk.range, code: code))
    }
    return hash.digest()
  }

  private static func read(
    _ chunk: Range<Int64>, of file: FolderDescriptor, _ path: RemotePath, into hash: ReadBackHash
  ) throws(DestinationError) {
    guard fdatasync(file.raw) == 0 || errno == EINVAL || errno == EBADF else {
      throw FolderPath.error(errno, "flush \(path)")
    }
    // A wish: the kernel says no to nothing that matters here.
    _ = posix_fadvise(file.raw, off_t(chunk.lowerBound), off_t(chunk.count), POSIX_FADV_DONTNEED)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(pieceSize, max(chunk.count, 1)), alignment: 4096)
    defer { buffer.deallocate() }
    var at = chunk.lowerBound
    while at < chunk.upperBound {
      let count = pread(file.raw, buffer.baseAddress, min(buffer.count, Int(chunk.upperBound - at)), off_t(at))
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw FolderPath.error(errno, "read \(path)") }
      guard count > 0 else {
        throw DestinationError(
          SFTPError(
            .failure, "The file \(path) at the destination ends \(chunk.upperBound - at) bytes short of "
              + "\(chunk.upperBound).", nextStep: "Send the missing part again.", providerCode: "SSH_FX_EOF"))
      }
      hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      at += Int64(count)
    }
  }

  // MARK: The end

  func set(_ attributes: FileAttributes) async throws(DestinationError) {
    let (file, path) = (try open(), path)
    try await threads.run { () throws(DestinationError) in try file.set(attributes, of: path) }
  }

  func commit(size: Int64, overwrite: Bool) async throws(DestinationError) {
    let (file, path, root) = (try open(), path, root)
    try await threads.run { () throws(DestinationError) in
      guard fsync(file.raw) == 0 || errno == EINVAL else { throw FolderPath.error(errno, "flush \(path)") }
      let found = try Self.size(file, path)
      guard found == size else {
        throw DestinationError(
          .failed, "\(path) has \(found) bytes at the destination, and \(size) were sent.",
          nextStep: "Send the file again.")
      }
      try FolderPath.open(path.parent, root, making: false).commit(path, overwrite: overwrite)
    }
    await close()
  }

  func abandon() async throws(DestinationError) {
    await close()
    let (path, root) = (path, root)
    try await threads.run { () throws(DestinationError) in
      try FolderPath.open(path.parent, root, making: false).remove(path.part)
    }
  }

  func close() async { descriptor.withLock { $0 = nil } }
}

/// Threads for blocking calls, taken in turn.
final class FolderThreads: Sendable {
  private actor Worker {
    private nonisolated let thread = SSHThread()
    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }
    nonisolated func stop() { thread.stop() }

    func run<Value: Sendable>(
      _ body: @Sendable () throws(DestinationError) -> Value
    ) throws(DestinationError) -> Value { try body() }
  }

  private let workers: [Worker]
  private let turn = Atomic(0)

  init(_ count: Int) { workers = (0..<count).map { _ in Worker() } }
  deinit { stop() }

  func run<Value: Sendable>(
    _ body: @Sendable () throws(DestinationError) -> Value
  ) async throws(DestinationError) -> Value {
    let next = turn.wrappingAdd(1, ordering: .relaxed).oldValue
    return try await workers[Int(UInt(bitPattern: next) % UInt(workers.count))].run(body)
  }

  /// Calls in progress end first; later ones start a thread for themselves.
  func stop() { for worker in workers { worker.stop() } }
}
