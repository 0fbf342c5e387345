// What a delivery needs of a customer's server: two small protocols and the values that cross them. Nothing here knows
// SFTP.
import NIOCore
import Transport

/// One customer's server with one login. Safe to use from many tasks at once; its connections are its own business.
public protocol Destination: Sendable {
  /// Connects and logs in if need be, and says who the server has shown itself to be.
  func identity() async throws(DestinationError) -> ServerIdentity
  /// Asks the server where that is needed; the answer is kept.
  func capabilities() async throws(DestinationError) -> DestinationCapabilities
  /// Tries what a delivery needs, step by step, up to the first failure, and leaves nothing behind.
  func probe() async -> [ProbeStep]
  /// Nil if there is nothing of this name.
  func stat(_ path: RemotePath) async throws(DestinationError) -> RemoteInfo?
  /// Makes the parent folders and an empty file under `path`'s .part name, instead of any that was there. Throws
  /// `noSpace` if `size` (bytes) is more than the server has room for.
  func create(_ path: RemotePath, size: Int64?) async throws(DestinationError) -> any RemoteFile
  /// Opens the .part file as it is, to go on after a pause or crash. Throws `missing` if it is gone.
  func reopen(_ path: RemotePath) async throws(DestinationError) -> any RemoteFile
  /// SHA-256 of the whole file under its final name: the proof for one that was renamed just before a crash.
  func digest(of path: RemotePath) async throws(DestinationError) -> ContentDigest
  /// Removes what an abandoned delivery left of `path`; not the file itself. Nothing there is no error.
  func removePart(of path: RemotePath) async throws(DestinationError)
  /// Lets go of all connections. Calls in progress end first; later ones fail.
  func close() async
  /// As `close`, but that calls in progress fail at once: for when nobody cares what comes of them.
  func abort() async
}

extension Destination {
  /// For those whose calls end by themselves as soon as their tasks are cancelled.
  public func abort() async { await close() }
}

/// Says of a chunk, by its index, where it lies and which code of it is wanted, once it is written.
public typealias ChunkGate = @Sendable (Int) async throws(DestinationError) -> WrittenChunk
/// Takes what a chunk was read back as.
public typealias ChunkReport = @Sendable (RemoteChunk) async throws(DestinationError) -> Void

/// A file on its way, under its .part name. Ends with `commit`, `abandon` or `close`.
public protocol RemoteFile: Sendable {
  /// The final name.
  var path: RemotePath { get }
  /// Returns once the server has acknowledged all bytes. Several may run at once, on ranges that don't overlap.
  func write(_ bytes: ByteBuffer, at offset: Int64) async throws(DestinationError)
  /// Bytes that the .part file has now.
  func size() async throws(DestinationError) -> Int64
  /// Reads chunks that lie one behind the other, once and ahead, and gives each one's code as it is known and, where
  /// `hashesWhole`, the digest of them all at the end; they come in order then, else perhaps from several places at once. May
  /// run beside `write`: no byte of a chunk is read before `whenWritten` has said of it where it lies and which code is wanted;
  /// it may be asked of one again. `onChunk` holds the reading up for as long as it takes.
  func readBack(
    chunks: Int, hashesWhole: Bool, whenWritten: @escaping ChunkGate, onChunk: @escaping ChunkReport
  ) async throws(DestinationError) -> ContentDigest?
  /// Of the .part file's first `size` bytes, which are all it has, as the server itself computes it; nil where it can't, or
  /// where that would be no faster than reading back. The server learns a GMAC's key.
  func code(of size: Int64, _ code: FileCode) async throws(DestinationError) -> [UInt8]?
  /// Gives the .part file these, once all its bytes are there. `unsupported` where the server can't do some of it, after the
  /// rest is done.
  func set(_ attributes: FileAttributes) async throws(DestinationError)
  /// Flushes to the server's disk where that is offered, checks the size, and renames to the final name: in one step
  /// where `atomicReplace` is. `conflict` if the name is taken and `overwrite` is false.
  func commit(size: Int64, overwrite: Bool) async throws(DestinationError)
  /// Removes the .part file.
  func abandon() async throws(DestinationError)
  /// Lets go of the file and leaves its .part for `reopen`.
  func close() async
}

extension RemoteFile {
  public func code(of size: Int64, _ code: FileCode) async throws(DestinationError) -> [UInt8]? { nil }

  /// Reads back chunks of one size, but for the last.
  public func readBack(
    _ range: Range<Int64>, chunkSize: Int, hashesWhole: Bool,
    whenWritten: @escaping @Sendable (Range<Int64>) async throws(DestinationError) -> ChunkCode,
    onChunk: @escaping ChunkReport
  ) async throws(DestinationError) -> ContentDigest? {
    let size = min(Int64(max(chunkSize, 1)), max(1, Int64(range.count)))
    return try await readBack(
      chunks: Int((Int64(range.count) + size - 1) / size), hashesWhole: hashesWhole,
      whenWritten: { (index) async throws(DestinationError) in
        let start = range.lowerBound + Int64(index) * size
        let chunk = start..<min(start + size, range.upperBound)
        return WrittenChunk(range: chunk, code: try await whenWritten(chunk))
      }, onChunk: onChunk)
  }

  /// Reads back what was written before, and gives each chunk's SHA-256.
  public func readBack(
    _ range: Range<Int64>, chunkSize: Int, onChunk: @escaping ChunkReport
  ) async throws(DestinationError) -> ContentDigest {
    let digest = try await readBack(
      range, chunkSize: chunkSize, hashesWhole: true, whenWritten: { (_) async throws(DestinationError) in .sha256 },
      onChunk: onChunk)
    guard let digest else { throw .unhashed(path.text) }
    return digest
  }

  /// SHA-256 of what the server holds in this range.
  public func digest(of range: Range<Int64>) async throws(DestinationError) -> ContentDigest {
    try await readBack(range, chunkSize: .max) { (_) async throws(DestinationError) in }
  }
}

public struct DestinationCapabilities: Sendable, Equatable {
  /// Chunks may be written in any order and at once.
  public var writesAtOffsets: Bool
  /// A file is replaced in one step; otherwise there is a moment without it.
  public var atomicReplace: Bool
  /// Free space is checked before a file is sent.
  public var tellsFreeSpace: Bool
  /// Bytes are on the server's disk before a file gets its name.
  public var flushes: Bool
  /// Hashes that the server computes itself, strongest first; empty: proof is by reading back.
  public var remoteHashes: [RemoteHash]
  public var maxConnections: Int
}

/// What a server computes of the files that it holds: SHA-256 by `RemoteFile.readBack`, of any part of a file; the others by
/// `RemoteFile.code`.
public enum RemoteHash: Sendable, Hashable {
  case gmac, sha256, sha1, md5, crc32
}

/// What a server may be asked of a whole file. Whichever it is, a server that lies about what it holds is believed; of changes by
/// accident SHA-1 and MD5 tell as surely as SHA-256.
public enum FileCode: Sendable, Equatable {
  case gmac(GMACParameters)
  case sha1, md5
  /// One changed file in four thousand millions is not noticed.
  case crc32
}

/// A SHA-256 of bytes.
public struct ContentDigest: Sendable, Hashable, CustomStringConvertible {
  /// 32 bytes.
  public let bytes: [UInt8]
  public init(sha256 bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }
  public var hexadecimal: String { bytes.hexadecimal }
  public var description: String { "sha256:" + hexadecimal }
}

/// What a chunk's bytes are told from others by.
public enum ChunkCode: Sendable, Equatable {
  /// SHA-256 of the chunk.
  case sha256
  /// SHA-256 of all from the first chunk's start to this one's end; only where the whole is hashed.
  case sha256FromStart
  /// GMAC of the chunk, under a key that the server doesn't know.
  case gmac(GMACParameters)
}

/// One that may be read back.
public struct WrittenChunk: Sendable, Equatable {
  /// Where it lies in the file: it begins where the one before it ends.
  public var range: Range<Int64>
  /// What is wanted of it.
  public var code: ChunkCode

  public init(range: Range<Int64>, code: ChunkCode) { (self.range, self.code) = (range, code) }
}

public struct RemoteChunk: Sendable, Equatable {
  /// Which of those that are read back.
  public var index: Int
  public var range: Range<Int64>
  /// The code that was asked for.
  public var code: [UInt8]
}

public struct RemoteInfo: Sendable, Equatable {
  public var size: Int64
  /// Seconds since 1970, if the server tells.
  public var modified: Int64?
  public var isDirectory: Bool
}

/// One step of a probe: "resolve", "connect", "handshake", "host key", "login", "write", "rename" or "delete".
public struct ProbeStep: Sendable {
  public var name: String
  public var duration: Duration
  /// What was found or done.
  public var detail: String
  /// Why the step failed; nil if it didn't.
  public var error: DestinationError?
  public var ok: Bool { error == nil }
  /// The fingerprint that the server showed, on the step "host key".
  public var hostKey: String?
}
