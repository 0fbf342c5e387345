// A server in memory, with the faults that a test asks for: writes that fail, bytes that change, a rename whose answer
// is lost.
import Crypto
import NIOCore
import Synchronization
import Transport

@testable import Destinations

final class MemoryDestination: Destinations.Destination {
  struct State {
    var files: [String: [UInt8]] = [:]
    var writes: [Int64] = []
    var creates = 0
    /// Decides about the write at this offset, before it is done; the number counts writes from 1.
    var onWrite: (@Sendable (_ number: Int, _ offset: Int64) -> DestinationError?)?
    /// What of a file is left when `onWrite` tells where to go on.
    var onBreak: (@Sendable ([UInt8]) -> [UInt8])?
    /// Changes the bytes of the first write at this offset.
    var corruptsOnce: Int64?
    var corruptsAlways = false
    var losesRenameAnswer = false
    var writesAtOffsets = true
    var attributes: [String: FileAttributes] = [:]
    /// What it says that it hashes by itself.
    var hashes: [RemoteHash] = []
    /// What it says of a whole file where it lies.
    var wrongCode: [UInt8]?
    /// Of whole files.
    var madeCodes = 0
    /// Offsets of chunks as they are read back, and the number of writes before.
    var reads: [(offset: Int64, afterWrites: Int)] = []
  }
  let state = Mutex(State())

  var files: [String: [UInt8]] { state.withLock { $0.files } }
  var writes: [Int64] { state.withLock { $0.writes } }

  func capabilities() async throws(DestinationError) -> DestinationCapabilities {
    DestinationCapabilities(
      writesAtOffsets: state.withLock { $0.writesAtOffsets }, atomicReplace: true, tellsFreeSpace: false, flushes: true,
      remoteHashes: state.withLock { $0.hashes }, maxConnections: 4)
  }
  func identity() async throws(DestinationError) -> ServerIdentity { ServerIdentity(fingerprint: "") }
  func probe() async -> [ProbeStep] { [] }
  func stat(_ path: RemotePath) async throws(DestinationError) -> RemoteInfo? {
    files[path.text].map { RemoteInfo(size: Int64($0.count), modified: nil, isDirectory: false) }
  }
  func create(_ path: RemotePath, size: Int64?) async throws(DestinationError) -> any RemoteFile {
    state.withLock {
      $0.files[path.part.text] = []
      $0.creates += 1
    }
    return MemoryFile(path: path, server: self)
  }
  func reopen(_ path: RemotePath) async throws(DestinationError) -> any RemoteFile {
    guard files[path.part.text] != nil else { throw Self.missing(path) }
    return MemoryFile(path: path, server: self)
  }
  func digest(of path: RemotePath) async throws(DestinationError) -> ContentDigest {
    guard let bytes = files[path.text] else { throw Self.missing(path) }
    return ContentDigest(sha256: SHA256.hash(data: bytes))
  }
  func removePart(of path: RemotePath) async throws(DestinationError) {
    state.withLock { $0.files[path.part.text] = nil }
  }
  func close() async {}

  static func missing(_ path: RemotePath) -> DestinationError {
    DestinationError(.missing, "There is no \(path).", nextStep: "Check it.")
  }
}

struct MemoryFile: RemoteFile {
  let path: RemotePath
  let server: MemoryDestination

  func write(_ bytes: ByteBuffer, at offset: Int64) async throws(DestinationError) {
    let error: DestinationError? = server.state.withLock { state in
      state.writes.append(offset)
      if let error = state.onWrite?(state.writes.count, offset) {
        if error.goOnAt != nil, let kept = state.onBreak, let file = state.files[path.part.text] {
          state.files[path.part.text] = kept(file)
        }
        return error
      }
      var new = Array(bytes.readableBytesView)
      if state.corruptsAlways { new[0] ^= 1 }
      if state.corruptsOnce == offset { (new[0], state.corruptsOnce) = (new[0] ^ 1, nil) }
      var file = state.files[path.part.text] ?? []
      let end = Int(offset) + new.count
      if file.count < end { file += [UInt8](repeating: 0, count: end - file.count) }
      file.replaceSubrange(Int(offset)..<end, with: new)
      state.files[path.part.text] = file
      return nil
    }
    if let error { throw error }
  }

  func size() async throws(DestinationError) -> Int64 { Int64(server.files[path.part.text]?.count ?? 0) }

  func code(of size: Int64, _ code: FileCode) async throws(DestinationError) -> [UInt8]? {
    server.state.withLock { state in
      guard let file = state.files[path.part.text], file.count == size else { return nil }
      state.madeCodes += 1
      if let wrong = state.wrongCode { return wrong }
      return switch code {
      case .gmac(let parameters): file.withUnsafeBytes { GMAC.code(of: $0, parameters) }
      case .sha1: Array(Insecure.SHA1.hash(data: file))
      case .md5: Array(Insecure.MD5.hash(data: file))
      case .crc32: Self.crc32(file)
      }
    }
  }

  /// RFC 1952 section 8, bit by bit.
  private static func crc32(_ bytes: [UInt8]) -> [UInt8] {
    var sum = ~UInt32(0)
    for byte in bytes {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xedb8_8320 : sum >> 1 }
    }
    return withUnsafeBytes(of: (~sum).bigEndian, Array.init)
  }

  func readBack(
    chunks: Int, hashesWhole: Bool, whenWritten: @escaping ChunkGate, onChunk: @escaping ChunkReport
  ) async throws(DestinationError) -> ContentDigest? {
    var whole = SHA256()
    for index in 0..<chunks {
      let chunk = try await whenWritten(index)
      let (part, code) = (chunk.range, chunk.code)
      server.state.withLock { $0.reads.append((part.lowerBound, $0.writes.count)) }
      let file = server.files[path.part.text] ?? []
      guard file.count >= Int(part.upperBound) else {
        throw DestinationError(.tooShort, "\(path) has \(file.count) bytes.", nextStep: "Send the rest.")
      }
      let bytes = file[Int(part.lowerBound)..<Int(part.upperBound)]
      whole.update(data: bytes)
      let told: [UInt8] =
        switch code {
        case .sha256: Array(SHA256.hash(data: bytes))
        case .sha256FromStart: Array(whole.finalize())
        case .gmac(let parameters): bytes.withUnsafeBytes { GMAC.code(of: $0, parameters) }
        }
      try await onChunk(RemoteChunk(index: index, range: part, code: told))
    }
    return hashesWhole ? ContentDigest(sha256: whole.finalize()) : nil
  }

  func set(_ attributes: FileAttributes) async throws(DestinationError) {
    server.state.withLock { $0.attributes[path.text] = attributes }
  }

  func commit(size: Int64, overwrite: Bool) async throws(DestinationError) {
    let error: DestinationError? = server.state.withLock { state in
      guard let bytes = state.files[path.part.text] else { return MemoryDestination.missing(path) }
      if !overwrite, state.files[path.text] != nil {
        return DestinationError(.conflict, "\(path) is taken.", nextStep: "Choose another.")
      }
      (state.files[path.text], state.files[path.part.text]) = (bytes, nil)
      guard state.losesRenameAnswer else { return nil }
      state.losesRenameAnswer = false
      return DestinationError(.unreachable, "The connection was lost.", nextStep: "Try again.")
    }
    if let error { throw error }
  }

  func abandon() async throws(DestinationError) { try await server.removePart(of: path) }
  func close() async {}
}
