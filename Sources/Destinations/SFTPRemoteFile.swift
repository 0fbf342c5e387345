// A file on its way to an SFTP server: writes at offsets over the pool's connections, and the end of it all. Reading
// back is in SFTPReader.swift, the final rename in SFTPRename.swift.
import NIOCore
import Transport

final class SFTPRemoteFile: RemoteFile {
  let path: RemotePath
  private let pool: SFTPPool
  private let part: String
  private let handles: SFTPHandles

  private let hashing: SFTPRemoteHash?

  init(_ path: RemotePath, pool: SFTPPool, hashing: SFTPRemoteHash? = nil) {
    self.path = path
    self.hashing = hashing
    self.pool = pool
    part = path.part.text
    handles = SFTPHandles(part, .updateReadable)
  }

  func adopt(_ handle: SFTPHandle, of connection: SFTPConnection) { handles.adopt(handle, of: connection) }

  private func onHandle<Value: Sendable>(
    bytes: Int = 0,
    _ body: @Sendable (SFTPConnection, SFTPHandle) async throws(SFTPError) -> Value
  ) async throws(DestinationError) -> Value {
    try await pool.withConnection(
      preferring: handles.connections, bytes: bytes
    ) { (connection) async throws(SFTPError) in
      try await body(connection, try await self.handles.handle(on: connection))
    }
  }

  func write(_ bytes: ByteBuffer, at offset: Int64) async throws(DestinationError) {
    try await onHandle(bytes: bytes.readableBytes) { (connection, handle) async throws(SFTPError) in
      try await connection.write(bytes, at: offset, to: handle)
    }
  }

  func size() async throws(DestinationError) -> Int64 {
    try await onHandle { (connection, handle) async throws(SFTPError) in
      try await connection.attributes(of: handle).size ?? 0
    }
  }

  func readBack(
    chunks: Int, hashesWhole: Bool, whenWritten: @escaping ChunkGate, onChunk: @escaping ChunkReport
  ) async throws(DestinationError) -> ContentDigest? {
    try await SFTPReader(part, handles, pool).prove(
      chunks: chunks, hashesWhole: hashesWhole, hashing, whenWritten: whenWritten, onChunk: onChunk)
  }

  func code(of size: Int64, _ code: FileCode) async throws(DestinationError) -> [UInt8]? {
    guard let hashing, case .gmac(let parameters) = code else { return nil }
    return try await SFTPReader(part, handles, pool).code(of: size, parameters, hashing)
  }

  // MARK: The end

  func set(_ attributes: FileAttributes) async throws(DestinationError) {
    try await onHandle { (connection, handle) async throws(SFTPError) in
      try await connection.set(permissions: attributes.mode, modified: attributes.modified, of: handle)
    }
  }

  func commit(size: Int64, overwrite: Bool) async throws(DestinationError) {
    let (number, found) = try await onHandle { (connection, handle) async throws(SFTPError) in
      (connection.number, try await connection.flushedSize(handle))
    }
    if let found, found != size {
      throw DestinationError(
        .failed, "\(path) has \(found) bytes at the destination, and \(size) were sent.",
        nextStep: "Send the file again.")
    }
    let open = await handles.take()
    var last: SFTPHandle?
    for (connection, handle) in open {
      if connection.number == number { last = handle } else { try await close(handle, on: connection) }
    }
    try await pool.rename(path, size: size, overwrite: overwrite, closing: last, on: number)
  }

  private func close(_ handle: SFTPHandle, on connection: SFTPConnection) async throws(DestinationError) {
    do throws(SFTPError) { try await connection.close(handle) } catch {
      if error.kind != .connectionLost, error.kind != .closed { throw DestinationError(error) }
    }
  }

  func abandon() async throws(DestinationError) {
    await close()
    try await pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.removeIfPresent(self.part)
    }
  }

  func close() async {
    // Every byte was acknowledged and is proven anew by whoever opens the file again.
    await handles.close()
  }
}
