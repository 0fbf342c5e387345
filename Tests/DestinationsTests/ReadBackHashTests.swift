// The codes of chunks that are read back: each what it says it is, whatever pieces the bytes come in, and over a real way there
// and back.
import Crypto
import Foundation
import NIOCore
import Synchronization
import Testing
import Transport

@testable import Destinations

@Suite("Codes of chunks") struct ReadBackHashTests {
  private static let key = [UInt8](1...16)
  private static let parameters = GMACParameters(key: key, message: (7, 9))

  /// By another library: GMAC is the tag of AES-GCM with nothing enciphered.
  private func gmac(_ bytes: ByteBuffer, message: UInt64 = 9) throws -> [UInt8] {
    let nonce = [0, 0, 0, 7] + withUnsafeBytes(of: message.bigEndian, Array.init)
    let sealed = try AES.GCM.seal(
      Data(), using: SymmetricKey(data: Self.key), nonce: AES.GCM.Nonce(data: nonce),
      authenticating: Data(bytes.readableBytesView))
    return Array(sealed.tag)
  }

  private func piece(_ content: ByteBuffer, _ range: Range<Int>) -> ByteBuffer {
    content.getSlice(at: range.lowerBound, length: range.count)!
  }

  @Test("a code is that of all its chunk's bytes, in pieces of any size", arguments: [1, 15, 16, 17, 4096, 100_000])
  func pieces(size: Int) throws {
    let content = bytes(100_000)
    let hash = ReadBackHash(hashesWhole: true)
    let cuts = [0, 33_333, 66_666, 100_000]
    let codes: [ChunkCode] = [.sha256, .gmac(Self.parameters), .sha256FromStart]
    var found: [[UInt8]] = []
    for (number, code) in codes.enumerated() {
      hash.begin(code)
      var rest = piece(content, cuts[number]..<cuts[number + 1])
      while let some = rest.readSlice(length: min(size, rest.readableBytes)), some.readableBytes > 0 {
        some.withUnsafeReadableBytes { hash.update($0) }
      }
      found.append(hash.endChunk())
    }
    #expect(found[0] == sha256(piece(content, 0..<33_333)).bytes)
    #expect(try found[1] == gmac(piece(content, 33_333..<66_666)))
    #expect(found[2] == sha256(content).bytes)
    #expect(hash.digest() == sha256(content))
  }

  @Test("a chunk without bytes has a code too")
  func empty() throws {
    #expect(try GMAC.code(of: UnsafeRawBufferPointer(start: nil, count: 0), Self.parameters) == gmac(ByteBuffer()))
  }

  @Test("where the whole is not asked for, its digest is not made up")
  func codesOnly() throws {
    let hash = ReadBackHash(hashesWhole: false)
    let content = bytes(1000)
    hash.begin(.gmac(Self.parameters))
    content.withUnsafeReadableBytes { hash.update($0) }
    #expect(try hash.endChunk() == gmac(content))
    hash.begin(.sha256)
    content.withUnsafeReadableBytes { hash.update($0) }
    #expect(hash.endChunk() == sha256(content).bytes)
    #expect(hash.digest() == nil)
  }

  @Test("each chunk is told by the code that was asked for", arguments: ["sftp", "folder"])
  func asked(scheme: String) async throws {
    let server = scheme == "sftp" ? try OpenSSHServer() : nil
    let folder = NSTemporaryDirectory() + "ferry-codes-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let root = try RemotePath(.root, parts: folder.split(separator: "/").map(String.init))
    let destination: any Destination = try server?.destination() ?? FolderDestination(root)
    let path = try server?.path("codes.bin") ?? root.appending("codes.bin")
    let (size, chunk) = (5_000_000, 1_000_000)
    let content = bytes(size)
    let file = try await destination.create(path, size: Int64(size))
    try await file.write(content, chunk: chunk, width: 2)
    let told = Mutex<[RemoteChunk]>([])
    let whole = try await file.readBack(
      0..<Int64(size), chunkSize: chunk, hashesWhole: true,
      whenWritten: { (range) async throws(DestinationError) in
        switch range.lowerBound / Int64(chunk) % 3 {
        case 0: .gmac(GMACParameters(key: Self.key, message: (7, UInt64(range.lowerBound))))
        case 1: .sha256FromStart
        default: .sha256
        }
      }, onChunk: { (chunk) async throws(DestinationError) in told.withLock { $0.append(chunk) } })
    #expect(whole == sha256(content))
    let codes = told.withLock { $0.map(\.code) }
    #expect(try codes == [
      gmac(piece(content, 0..<chunk), message: 0), sha256(piece(content, 0..<2 * chunk)).bytes,
      sha256(piece(content, 2 * chunk..<3 * chunk)).bytes, gmac(piece(content, 3 * chunk..<4 * chunk), message: 3_000_000),
      sha256(content).bytes,
    ])
    try await file.abandon()
    await destination.close()
  }
}
