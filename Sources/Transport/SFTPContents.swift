// Reading and writing a connection's files: whole buffers at 64-bit offsets, in as many pieces at once as the server
// and the network take.
import NIOCore

public enum SFTPOpenMode: Sendable {
  case read
  /// Makes the file, or empties the one that is there.
  case create
  /// As `create`, and its bytes may be read.
  case createReadable
  /// Makes the file and fails if there is one.
  case createNew
  /// Opens a file that must be there, and leaves its bytes.
  case update
  /// As `update`, and its bytes may be read.
  case updateReadable

  /// Section 6.3 of the draft: read 1, write 2, create 8, truncate 16, exclusive 32.
  var flags: UInt32 {
    switch self {
    case .read: 1
    case .create: 2 | 8 | 16
    case .createReadable: 1 | 2 | 8 | 16
    case .createNew: 2 | 8 | 32
    case .update: 2
    case .updateReadable: 1 | 2
    }
  }
}

extension SFTPConnection {
  /// The most that one `read` returns.
  public static let maxRead = 4 << 20

  public func open(
    _ path: String, _ mode: SFTPOpenMode, permissions: UInt32 = 0o644
  ) async throws(SFTPError) -> SFTPHandle {
    try checkHandles()
    let reply = try await ask(SFTPPacket.open, openBody(path, mode, permissions), "open \(path)")
    return register(try handle(reply, "open \(path)"), path: path)
  }

  /// What a new file meets.
  public struct Opened: Sendable {
    public var handle: SFTPHandle
    /// Nil if it wasn't asked for or isn't told.
    public var volume: SFTPVolume?
    /// What has the name `other`, if that was asked for.
    public var other: SFTPAttributes?
  }

  /// Opens `path`, and in the same round trip asks for the volume of `folder` and for what is at `other`.
  public func open(
    _ path: String, _ mode: SFTPOpenMode, volumeOf folder: String?, lookAt other: String?
  ) async throws(SFTPError) -> Opened {
    var requests = [Request(type: SFTPPacket.open, body: openBody(path, mode, 0o644), action: "open \(path)")]
    let folder = offeredExtensions[Self.statVFS] == nil ? nil : folder
    if let folder { requests.append(volumeRequest(folder)) }
    if let other { requests.append(Request(type: SFTPPacket.stat, body: body(other), action: "look at \(other)")) }
    try checkHandles()
    let replies = try await askAll(requests)
    var opened = Opened(handle: register(try handle(replies[0], requests[0].action), path: path))
    // What was asked on the side may stay unknown; the file is open.
    if folder != nil { opened.volume = volume(replies[1]) }
    if other != nil { opened.other = replies.last.flatMap { attributes($0) } }
    return opened
  }

  private func openBody(_ path: String, _ mode: SFTPOpenMode, _ permissions: UInt32) -> ByteBuffer {
    var body = body(path)
    for number: UInt32 in [mode.flags, 4, permissions] { body.writeInteger(number) }
    return body
  }

  private func checkHandles() throws(SFTPError) {
    guard openFiles < Self.maxHandles else {
      throw SFTPError(
        .failure, "More than \(Self.maxHandles) files are open on one connection to \(endpoint).",
        nextStep: "Close some first.")
    }
  }

  /// Flushes where that is offered, and tells the file's size, in one round trip.
  public func flushedSize(_ handle: SFTPHandle) async throws(SFTPError) -> Int64? {
    let file = try file(handle)
    var raw = ByteBuffer()
    raw.writeSSHBytes(file.raw)
    var requests: [Request] = []
    if offeredExtensions[Self.fsync] != nil {
      var flush = body(Self.fsync)
      flush.writeImmutableBuffer(raw)
      requests.append(Request(type: SFTPPacket.extended, body: flush, action: "flush \(file.path)"))
    }
    requests.append(Request(type: SFTPPacket.fstat, body: raw, action: "look at \(file.path)"))
    let replies = try await askAll(requests)
    if replies.count == 2, replies[0].status != SFTPStatus.ok, replies[0].status != SFTPStatus.unsupported {
      throw refusal(replies[0].status, requests[0].action)
    }
    guard let found = attributes(replies[replies.count - 1]) else {
      throw refusal(replies[replies.count - 1].status, "look at \(file.path)")
    }
    return found.size
  }

  /// Closes the file and renames it over `target` in one round trip. Throws `unsupported` if the server has no
  /// posix-rename@openssh.com.
  public func close(_ handle: SFTPHandle, andReplace target: String) async throws(SFTPError) {
    let file = try file(handle)
    let renaming = "rename \(file.path) over \(target)"
    guard offeredExtensions[Self.posixRename] != nil else { throw refusal(SFTPStatus.unsupported, renaming) }
    forget(handle)
    var raw = ByteBuffer()
    raw.writeSSHBytes(file.raw)
    let replies = try await askAll([
      Request(type: SFTPPacket.close, body: raw, action: "close \(file.path)"),
      Request(type: SFTPPacket.extended, body: body(Self.posixRename, file.path, target), action: renaming),
    ])
    if replies[1].status != SFTPStatus.ok { throw refusal(replies[1].status, renaming) }
    if replies[0].status != SFTPStatus.ok { throw refusal(replies[0].status, "close \(file.path)") }
  }

  /// Some servers tell only here that the last bytes found no room.
  public func close(_ handle: SFTPHandle) async throws(SFTPError) {
    let file = try file(handle)
    forget(handle)
    var body = ByteBuffer()
    body.writeSSHBytes(file.raw)
    try await order(SFTPPacket.close, body, "close \(file.path)")
  }

  /// Returns once the server has acknowledged every byte. Several may run at once, on ranges that don't overlap.
  public func write(_ bytes: ByteBuffer, at offset: Int64, to handle: SFTPHandle) async throws(SFTPError) {
    let file = try file(handle)
    guard bytes.readableBytes > 0 else { return }
    let action = "write to \(file.path)"
    let outcome = try await transfer(action) {
      SFTPTransfer(writing: bytes, at: offset, to: file.raw, $0)
    }
    guard case .refused(let status, let unwritten) = outcome else { return }
    guard status == SFTPStatus.failure else { throw refusal(status, action) }
    throw try await explain(refusal(status, action), unwritten: unwritten, path: file.path)
  }

  /// OpenSSH answers a full disk with a plain SSH_FX_FAILURE: the free space tells which it was.
  private func explain(
    _ error: SFTPError, unwritten: Int, path: String
  ) async throws(SFTPError) -> SFTPError {
    guard let volume = try await volume(of: path), volume.free < Int64(unwritten) else { return error }
    return SFTPError(
      .noSpace, "\(endpoint) couldn't write to \(path): its disk has \(volume.free) bytes free of \(volume.size).",
      nextStep: "Free space on the server, then start again.", providerCode: error.providerCode)
  }

  /// Reads at most `maxRead` bytes of `range`, and fewer only where the file ends.
  /// - Parameter buffers: where their memory comes from. Whoever is done with them gives it back there.
  public func read(
    _ range: Range<Int64>, from handle: SFTPHandle, _ buffers: BufferPool? = nil
  ) async throws(SFTPError) -> ByteBuffer {
    let file = try file(handle)
    let count = Int(min(Int64(Self.maxRead), Int64(range.count)))
    guard count > 0 else { return ByteBuffer() }
    let action = "read \(file.path)"
    let outcome = try await transfer(action) {
      let bytes = buffers?.take(count) ?? ByteBufferAllocator().buffer(capacity: count)
      return SFTPTransfer(reading: count, at: range.lowerBound, from: file.raw, into: bytes, $0)
    }
    switch outcome {
    case .done(let bytes): return bytes
    case .refused(let status, _): throw refusal(status, action)
    case .broken: throw closed
    }
  }

  /// False if the server doesn't offer fsync@openssh.com.
  public func flush(_ handle: SFTPHandle) async throws(SFTPError) -> Bool {
    guard offeredExtensions[Self.fsync] != nil else { return false }
    let file = try file(handle)
    var body = body(Self.fsync)
    body.writeSSHBytes(file.raw)
    let status = try await ask(SFTPPacket.extended, body, "flush \(file.path)").status
    if status == SFTPStatus.unsupported { return false }
    if status != SFTPStatus.ok { throw refusal(status, "flush \(file.path)") }
    return true
  }
}
