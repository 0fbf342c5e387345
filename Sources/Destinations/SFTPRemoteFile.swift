// A file on its way to an SFTP server: writes at offsets over the pool's connections, read-back, and the end of it all.
// The final rename is in SFTPRename.swift.
import Crypto
import NIOCore
import Synchronization
import Transport

final class SFTPRemoteFile: RemoteFile {
  let path: RemotePath
  private let pool: SFTPPool
  private let part: String
  /// One handle a connection, by the connection's number.
  private let handles = Mutex<[Int: (connection: SFTPConnection, handle: SFTPHandle)]>([:])

  init(_ path: RemotePath, pool: SFTPPool) {
    self.path = path
    self.pool = pool
    part = path.part.text
  }

  func adopt(_ handle: SFTPHandle, of connection: SFTPConnection) {
    handles.withLock { handles in
      handles = handles.filter { $0.value.connection.isUsable }
      handles[connection.number] = (connection, handle)
    }
  }

  /// A leased connection is one task's, so that two can't open the file on it at once.
  private func handle(on connection: SFTPConnection) async throws(SFTPError) -> SFTPHandle {
    if let known = handles.withLock({ $0[connection.number]?.handle }) { return known }
    let handle = try await connection.open(part, .update)
    adopt(handle, of: connection)
    return handle
  }

  func write(_ bytes: ByteBuffer, at offset: Int64) async throws(DestinationError) {
    try await pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.write(bytes, at: offset, to: try await self.handle(on: connection))
    }
  }

  func size() async throws(DestinationError) -> Int64 {
    try await pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.attributes(of: try await self.handle(on: connection)).size ?? 0
    }
  }

  // MARK: Read back

  private struct Hashes: Sendable {
    var whole = SHA256()
    var chunk = SHA256()
  }

  func readBack(
    _ range: Range<Int64>, chunkSize: Int, onChunk: @Sendable (RemoteChunk) async throws(DestinationError) -> Void
  ) async throws(DestinationError) -> ContentDigest {
    let (connection, handle) = try await openForReading()
    do throws(DestinationError) {
      var hashes = Hashes()
      var start = range.lowerBound
      while start < range.upperBound {
        let end = start + min(Int64(max(chunkSize, 1)), range.upperBound - start)
        hashes.chunk = SHA256()
        hashes = try await Self.read(start..<end, handle, connection, hashes)
        try await onChunk(RemoteChunk(range: start..<end, digest: ContentDigest(sha256: hashes.chunk.finalize())))
        start = end
      }
      await giveBack(connection, handle)
      return ContentDigest(sha256: hashes.whole.finalize())
    } catch {
      await giveBack(connection, handle)
      throw error
    }
  }

  private static func read(
    _ range: Range<Int64>, _ handle: SFTPHandle, _ connection: SFTPConnection, _ hashes: Hashes
  ) async throws(DestinationError) -> Hashes {
    do throws(SFTPError) {
      return try await connection.read(range, from: handle, into: hashes) { hashes, bytes in
        hashes.whole.update(bufferPointer: bytes)
        hashes.chunk.update(bufferPointer: bytes)
      }
    } catch {
      throw DestinationError(error)
    }
  }

  /// The connection stays leased until `giveBack`, so that reads ahead are not mixed with others' calls.
  private func openForReading() async throws(DestinationError) -> (SFTPConnection, SFTPHandle) {
    while true {
      let lease = try await pool.lease()
      do throws(SFTPError) { return (lease.connection, try await lease.connection.open(part, .read)) } catch {
        await pool.giveBack(lease.connection)
        if !(lease.reused && !lease.connection.isUsable) { throw DestinationError(error) }
      }
    }
  }

  private func giveBack(_ connection: SFTPConnection, _ handle: SFTPHandle) async {
    // A handle that was only read from has nothing to lose; a dead connection shows in `isUsable`.
    try? await connection.close(handle)
    await pool.giveBack(connection)
  }

  // MARK: The end

  func commit(size: Int64, overwrite: Bool) async throws(DestinationError) {
    let found = try await pool.withConnection { (connection) async throws(SFTPError) in
      let handle = try await self.handle(on: connection)
      _ = try await connection.flush(handle)
      return try await connection.attributes(of: handle).size
    }
    if let found, found != size {
      throw DestinationError(
        .failed, "\(path) has \(found) bytes at the destination, and \(size) were sent.",
        nextStep: "Send the file again.")
    }
    try await closeHandles()
    try await pool.rename(path, size: size, overwrite: overwrite)
  }

  func abandon() async throws(DestinationError) {
    await close()
    try await pool.withConnection { (connection) async throws(SFTPError) in
      try await connection.removeIfPresent(self.part)
    }
  }

  func close() async {
    // Every byte was acknowledged and is proven anew by whoever opens the file again.
    try? await closeHandles()
  }

  private func closeHandles() async throws(DestinationError) {
    let open = handles.withLock { handles in
      defer { handles = [:] }
      return Array(handles.values)
    }
    var first: SFTPError?
    for (connection, handle) in open where connection.isUsable {
      do throws(SFTPError) { try await connection.close(handle) } catch { first = first ?? error }
    }
    if let first, first.kind != .connectionLost, first.kind != .closed { throw DestinationError(first) }
  }
}
