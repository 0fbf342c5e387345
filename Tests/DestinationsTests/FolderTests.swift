// A folder of this machine as a destination: the promises of every destination, and no way out of the folder.
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import Destinations

@Suite("Folders") struct FolderTests {
  /// Gone with the object.
  private final class Folder: Sendable {
    let text = NSTemporaryDirectory() + "ferry-folder-" + UUID().uuidString
    init() throws { try FileManager.default.createDirectory(atPath: text + "/in", withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: text) }
    var root: RemotePath {
      get throws { try RemotePath(.root, parts: (text + "/in").split(separator: "/").map(String.init)) }
    }
    var inside: [String] { get throws { try FileManager.default.subpathsOfDirectory(atPath: text + "/in").sorted() } }
  }

  @Test("a file gets its permissions and its time")
  func attributes() async throws {
    let folder = try Folder()
    let destination = FolderDestination(try folder.root)
    let file = try await destination.create(try folder.root.appending("a"), size: 3)
    try await file.write(bytes(3), at: 0)
    try await file.set(FileAttributes(mode: 0o604, modified: 1_700_000_000))
    try await file.commit(size: 3, overwrite: false)
    let found = try FileManager.default.attributesOfItem(atPath: folder.text + "/in/a")
    #expect((found[.posixPermissions] as? NSNumber)?.intValue == 0o604)
    #expect((found[.modificationDate] as? Date)?.timeIntervalSince1970 == 1_700_000_000)
    await destination.close()
  }

  @Test("a file arrives in chunks, is proven beside the writing, and gets its name at the end")
  func delivers() async throws {
    let folder = try Folder()
    let destination = FolderDestination(try folder.root)
    let content = bytes(5_000_001)
    let path = try folder.root.appending("a/b/report.bin")
    let file = try await destination.create(path, size: 5_000_001)
    try await file.write(content, chunk: 1 << 20, width: 4)
    #expect(try folder.inside == ["a", "a/b", "a/b/report.bin.part"])
    let chunks = Mutex<[RemoteChunk]>([])
    let whole = try await file.readBack(0..<5_000_001, chunkSize: 2 << 20) { (chunk) async throws(DestinationError) in
      chunks.withLock { $0.append(chunk) }
    }
    #expect(whole == sha256(content))
    for chunk in chunks.withLock({ $0 }) {
      #expect(chunk.code == sha256(content.getSlice(at: Int(chunk.range.lowerBound), length: chunk.range.count)!).bytes)
    }
    #expect(chunks.withLock { $0.count } == 3)
    try await file.commit(size: 5_000_001, overwrite: false)
    #expect(try folder.inside == ["a", "a/b", "a/b/report.bin"])
    #expect(try contents(path.text) == content)
    #expect(try await destination.digest(of: path) == sha256(content))
    #expect(try await destination.stat(path)?.size == 5_000_001)
    await destination.close()
  }

  @Test("a .part file is gone on with, a wrong size isn't committed, a taken name isn't replaced unasked")
  func ends() async throws {
    let folder = try Folder()
    let destination = FolderDestination(try folder.root)
    let path = try folder.root.appending("a.bin")
    #expect(await #expect(throws: DestinationError.self) { try await destination.reopen(path) }?.kind == .missing)
    let first = try await destination.create(path, size: nil)
    try await first.write(bytes(10), at: 0)
    await first.close()
    let file = try await destination.reopen(path)
    #expect(try await file.digest(of: 0..<10) == sha256(bytes(10)))
    await #expect(throws: DestinationError.self) { try await file.digest(of: 0..<11) }
    await #expect(throws: DestinationError.self) { try await file.commit(size: 11, overwrite: true) }
    try Data("old".utf8).write(to: URL(fileURLWithPath: path.text))
    let refused = await #expect(throws: DestinationError.self) { try await file.commit(size: 10, overwrite: false) }
    #expect(refused?.kind == .conflict)
    #expect(try contents(path.text) == ByteBuffer(string: "old"))
    try await file.commit(size: 10, overwrite: true)
    #expect(try contents(path.text) == bytes(10))
    try await destination.removePart(of: path)
    #expect(try folder.inside == ["a.bin"])
    let closed = await #expect(throws: DestinationError.self) { try await file.write(bytes(1), at: 0) }
    #expect(closed?.kind == .cancelled)
    await destination.close()
  }

  @Test("no symbolic link leads out, neither a folder nor a file nor a .part file")
  func links() async throws {
    let folder = try Folder()
    let destination = FolderDestination(try folder.root)
    let outside = folder.text + "/outside"
    try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: true)
    try Data("keep".utf8).write(to: URL(fileURLWithPath: outside + "/secret"))
    let base = folder.text + "/in/"
    try FileManager.default.createSymbolicLink(atPath: base + "way", withDestinationPath: outside)
    try FileManager.default.createSymbolicLink(atPath: base + "b.bin.part", withDestinationPath: outside + "/secret")
    try FileManager.default.createSymbolicLink(atPath: base + "c.bin", withDestinationPath: outside + "/secret")
    let root = try folder.root
    await #expect(throws: DestinationError.self) { try await destination.create(root.appending("way/a.bin"), size: 1) }
    await #expect(throws: DestinationError.self) { try await destination.create(root.appending("b.bin"), size: 1) }
    await #expect(throws: DestinationError.self) { try await destination.digest(of: root.appending("c.bin")) }
    await #expect(throws: DestinationError.self) {
      try await destination.create(RemotePath(.root, parts: ["etc", "a.bin"]), size: 1)
    }
    // The link itself is what gets replaced, not what it leads to.
    let file = try await destination.create(root.appending("c.bin"), size: 1)
    try await file.write(bytes(1), at: 0)
    try await file.commit(size: 1, overwrite: true)
    #expect(try contents(base + "c.bin") == bytes(1))
    #expect(try contents(outside + "/secret") == ByteBuffer(string: "keep"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: outside) == ["secret"])
    await destination.close()
  }

  @Test("a probe leaves nothing behind, and a folder that isn't there is told as such")
  func probe() async throws {
    let folder = try Folder()
    let steps = await FolderDestination(try folder.root).probe()
    #expect(steps.map(\.name) == ["write", "rename", "delete"])
    #expect(steps.allSatisfy { $0.ok }, "\(steps)")
    #expect(try folder.inside == [])
    #expect(try await FolderDestination(try folder.root).identity().fingerprint == "")
    let none = await FolderDestination(try RemotePath(.root, parts: ["no", "such", "folder"])).probe()
    #expect(none.map(\.name) == ["write"])
    #expect(none.last?.error?.kind == .missing)
  }

  @Test("more than the disk has room for is refused before")
  func space() async throws {
    let folder = try Folder()
    let destination = FolderDestination(try folder.root)
    let error = await #expect(throws: DestinationError.self) {
      try await destination.create(try folder.root.appending("a.bin"), size: 1 << 60)
    }
    #expect(error?.kind == .noSpace)
    #expect(try folder.inside == [])
    await destination.close()
  }
}
