// What an FTP server computes of its files itself, asked of a real ProFTPD.
import Crypto
import Foundation
import NIOCore
import Testing

@testable import Destinations
@testable import Transport

@Suite("FTP hashes", .enabled(if: ProFTPDServer.isInstalled)) struct FTPHashTests {
  private static let codes: [FileCode] = [.sha1, .md5, .crc32]

  private func expected(_ code: FileCode, _ content: ByteBuffer) throws -> [UInt8] {
    let data = Data(content.readableBytesView)
    return switch code {
    case .sha1: Array(Insecure.SHA1.hash(data: data))
    case .md5: Array(Insecure.MD5.hash(data: data))
    default: try crc32(data)
    }
  }

  /// As Python has it.
  private func crc32(_ data: Data) throws -> [UInt8] {
    let file = NSTemporaryDirectory() + "ferry-crc-" + UUID().uuidString
    try data.write(to: URL(filePath: file))
    defer { try? FileManager.default.removeItem(atPath: file) }
    let text = try run("/usr/bin/python3", ["-c", "import zlib, sys; print(zlib.crc32(open(sys.argv[1], 'rb').read()))", file])
    let number = UInt32(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
    return withUnsafeBytes(of: number.bigEndian, Array.init)
  }

  @Test("each hash that a server offers is that of the file there", arguments: ["a.bin", "with space.bin", "quo\"te.bin"])
  func whole(name: String) async throws {
    let server = try ProFTPDServer(algorithms: "crc32 md5 sha1")
    let destination = try server.destination()
    #expect(try await destination.capabilities().remoteHashes == [.sha1, .md5, .crc32])
    let content = bytes(3_000_001)
    let file = try await destination.create(try server.path(name), size: 3_000_001)
    try await file.write(content, at: 0)
    for code in Self.codes {
      #expect(try await file.code(of: 3_000_001, code) == expected(code, content))
      #expect(try await file.code(of: 3_000_000, code) == nil)
    }
    let gmac = GMACParameters(key: Array(repeating: 1, count: GMACParameters.keyLength), message: (0, 0))
    #expect(try await file.code(of: 3_000_001, .gmac(gmac)) == nil)
    try await file.commit(size: 3_000_001, overwrite: false)
    #expect(try await destination.digest(of: try server.path(name)) == sha256(content))
    await destination.close()
  }

  @Test("where HASH is not there, a command for the one algorithm is", arguments: ["a.bin", "with space.bin", "quo\"te.bin"])
  func commands(name: String) async throws {
    // FEAT is made to forget HASH below; should it be asked for all the same, it is refused.
    let server = try ProFTPDServer(algorithms: "crc32 md5 sha1 sha256", settings: ["<Limit HASH>", "DenyAll", "</Limit>"])
    let connection = FTPConnection(FTPServer(try server.destination().settings))
    try await connection.connect()
    let content = bytes(70_000)
    try Data(content.readableBytesView).write(to: URL(filePath: server.files + "/" + name))
    await connection.forgetHASH()
    for hash in FTPHash.allCases {
      let found = try await connection.hash(hash, of: "/in/\(name)", 0..<70_000, isWhole: true)
      guard name != "quo\"te.bin" else {
        #expect(found == nil)
        continue
      }
      let code: FileCode? = [.sha1: .sha1, .md5: .md5, .crc32: .crc32][hash]
      #expect(found == (try code.map { try expected($0, content) } ?? sha256(content).bytes))
    }
    await connection.close()
  }

  @Test("SHA-256 by the server proves chunks by their ranges, and the whole")
  func ranges() async throws {
    let server = try ProFTPDServer(algorithms: "sha1 sha256")
    let destination = try server.destination()
    #expect(try await destination.capabilities().remoteHashes == [.sha256, .sha1])
    let content = bytes(2_500_000)
    let file = try await destination.create(try server.path("b.bin"), size: 2_500_000)
    try await file.write(content, at: 0)
    let chunks = Gathered()
    let whole = try await file.readBack(0..<2_500_000, chunkSize: 1_000_000) { (chunk) async throws(DestinationError) in
      await chunks.add(chunk)
    }
    #expect(whole == sha256(content))
    for chunk in await chunks.all {
      #expect(chunk.code == sha256(content.getSlice(at: Int(chunk.range.lowerBound), length: chunk.range.count)!).bytes)
    }
    #expect(await chunks.all.count == 3)
    await destination.close()
  }

  private actor Gathered {
    private(set) var all: [RemoteChunk] = []
    func add(_ chunk: RemoteChunk) { all.append(chunk) }
  }

  @Test("a server that offers a hash and then refuses it is read back")
  func refused() async throws {
    let server = try ProFTPDServer(
      algorithms: "sha1 sha256", settings: ["<Limit HASH XSHA1 XSHA256 XSHA>", "DenyAll", "</Limit>"])
    let destination = try server.destination()
    let content = bytes(1_200_000)
    let file = try await destination.create(try server.path("c.bin"), size: 1_200_000)
    try await file.write(content, at: 0)
    #expect(try await file.code(of: 1_200_000, .sha1) == nil)
    #expect(try await file.digest(of: 0..<1_200_000) == sha256(content))
    await destination.close()
  }
}

extension FTPConnection {
  /// As if FEAT had not told of it.
  fileprivate func forgetHASH() { features.lines.removeAll { $0.hasPrefix("HASH") } }
}
