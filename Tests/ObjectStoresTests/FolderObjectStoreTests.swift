// FolderObjectStore on real directories: S3's order and paging, and no way out of the root.
import Foundation
import Testing
import Transport

@testable import ObjectStores

@Suite("Folder object store")
struct FolderObjectStoreTests {
  /// A directory of its own, removed at the end.
  private final class Rig: Sendable {
    let base: String
    let store: FolderObjectStore
    var root: String { base + "/root" }

    init() throws {
      base = NSTemporaryDirectory() + "ferry-folder-" + UUID().uuidString
      try FileManager.default.createDirectory(atPath: base + "/root", withIntermediateDirectories: true)
      store = try FolderObjectStore(ObjectStoreSettings(provider: "folder", root: base + "/root"))
    }

    deinit { try? FileManager.default.removeItem(atPath: base) }

    func write(_ path: String, _ text: String = "x") throws {
      let full = base + "/" + path
      let parent = String(full[..<full.lastIndex(of: "/")!])
      try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
      try Data(text.utf8).write(to: URL(fileURLWithPath: full))
    }

    func link(_ path: String, to target: String) throws {
      try FileManager.default.createSymbolicLink(atPath: base + "/" + path, withDestinationPath: target)
    }
  }

  private func failure(_ work: () async throws -> Void) async -> ObjectStoreError? {
    do {
      try await work()
      return nil
    } catch {
      return error as? ObjectStoreError
    }
  }

  private func names(_ entries: [ObjectEntry]) -> [String] {
    entries.map { entry in
      switch entry {
      case .object(let info): info.key
      case .commonPrefix(let prefix): "[" + prefix + "]"
      }
    }
  }

  private func list(_ rig: Rig, _ prefix: String = "", _ delimiter: String? = nil, limit: Int = 1000) async throws
    -> [String]
  {
    var all: [String] = [], token: PageToken?, pages = 0
    repeat {
      let page = try await rig.store.objects(in: "b", prefix: prefix, delimiter: delimiter, after: token, limit: limit)
      #expect(page.items.count <= limit)
      #expect(page.next == nil || page.items.count == limit)
      all += names(page.items)
      token = page.next
      pages += 1
    } while token != nil && pages < 500
    return all
  }

  private static let keys = [
    "a-b", "a/x", "a/y/deep/1", "a/y/deep/2", "a0", "ab", "b c/ü.txt", "b c/日本.bin", "c/#%+&?=~'\"", "z/.hidden", "ä",
    "e\u{301}", "z/\u{301}odd",
  ]

  @Test("keys come in the order of their bytes, whatever the page size")
  func order() async throws {
    let rig = try Rig()
    for key in Self.keys { try rig.write("root/b/" + key) }
    let sorted = Self.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    for limit in 1...Self.keys.count + 1 {
      #expect(try await list(rig, limit: limit).map { Array($0.utf8) } == sorted.map { Array($0.utf8) })
    }
  }

  @Test(
    "prefix and delimiter fold as S3 does, whatever the page size", arguments: ["", "a", "a/", "a/y", "b c/", "nope"],
    [
      "/", "e", "/deep", "0",
    ])
  func folding(_ prefix: String, _ delimiter: String) async throws {
    let rig = try Rig()
    for key in Self.keys { try rig.write("root/b/" + key) }
    // The same by brute force, on bytes, as a combining mark makes another character of a slash.
    var expected: [String] = []
    let marks = Array(delimiter.utf8), lead = Array(prefix.utf8)
    for key in Self.keys.map({ Array($0.utf8) }).sorted(by: { $0.lexicographicallyPrecedes($1) })
    where key.starts(with: lead) {
      let cut = (lead.count..<key.count).first { key[$0...].starts(with: marks) }.map { $0 + marks.count }
      let name =
        cut.map { "[" + String(decoding: key[..<$0], as: UTF8.self) + "]" } ?? String(decoding: key, as: UTF8.self)
      if expected.last != name { expected.append(name) }
    }
    for limit in [1, 2, 3, 1000] {
      #expect(
        try await list(rig, prefix, delimiter, limit: limit).map { Array($0.utf8) } == expected.map { Array($0.utf8) })
    }
  }

  @Test("empty directories, pipes and links that lead outside are no objects; links inside are")
  func kinds() async throws {
    let rig = try Rig()
    try rig.write("root/b/file")
    try rig.write("outside/secret")
    try FileManager.default.createDirectory(atPath: rig.root + "/b/empty/er", withIntermediateDirectories: true)
    #expect(mkfifo(rig.root + "/b/pipe", 0o600) == 0)
    try rig.link("root/b/out", to: "../../outside/secret")
    try rig.link("root/b/outdir", to: "../../outside")
    try rig.link("root/b/dangling", to: "nowhere")
    try rig.link("root/b/in", to: "file")
    try rig.link("root/b/ring", to: ".")
    #expect(try await list(rig) == ["file", "in"])
    #expect(try await list(rig, "", "/") == ["file", "in"])
    for key in ["out", "outdir/secret"] {
      let error = await failure { _ = try await rig.store.stat(ObjectReference(bucket: "b", key: key)) }
      #expect(error?.kind == .denied)
    }
    for key in ["dangling", "pipe", "empty", "nope", "file/x"] {
      let error = await failure { _ = try await rig.store.stat(ObjectReference(bucket: "b", key: key)) }
      #expect(error?.kind == .missing, "\(key)")
    }
  }

  @Test(
    "no key leads out of its bucket by its words",
    arguments: [
      "../secret", "..", ".", "", "/etc/passwd", "a/../../secret", "a//b", "a/", "./a", "a\0b", "../b2/file",
    ])
  func traversal(_ key: String) async throws {
    let rig = try Rig()
    try rig.write("root/b/a/file")
    try rig.write("root/secret")
    let object = ObjectReference(bucket: "b", key: key)
    #expect(await failure { _ = try await rig.store.stat(object) }?.kind == .invalid)
    let grant = await failure {
      _ = try await rig.store.grant(object, pinnedTo: ObjectVersion(), lifetime: .seconds(1))
    }
    #expect(grant?.kind == .invalid)
  }

  @Test("buckets are the root's directories, by name and page; links count only inside the root")
  func buckets() async throws {
    let rig = try Rig()
    for name in ["c", "a", "b"] { try rig.write("root/\(name)/x") }
    try rig.write("root/file")
    try rig.write("outside/x")
    try rig.link("root/link", to: "a")
    try rig.link("root/out", to: "../outside")
    var pages: [[String]] = [], token: PageToken?
    repeat {
      let page = try await rig.store.buckets(after: token, limit: 2)
      pages.append(page.items.map(\.name))
      token = page.next
    } while token != nil && pages.count < 9
    #expect(pages == [["a", "b"], ["c", "link"]])
    for (bucket, kind) in [
      ("out", ObjectStoreError.Kind.denied), ("nope", .missing), ("..", .invalid), ("", .invalid), ("a/b", .invalid),
    ] {
      let error = await failure {
        _ = try await rig.store.objects(in: bucket, prefix: "", delimiter: nil, after: nil, limit: 0)
      }
      #expect(error?.kind == kind, "\(bucket)")
    }
  }

  @Test("a grant is the file's real path, and a changed file is a conflict")
  func grant() async throws {
    let rig = try Rig()
    try rig.write("root/b/file", "one")
    try rig.link("root/b/in", to: "file")
    let object = ObjectReference(bucket: "b", key: "in")
    let info = try await rig.store.stat(object)
    let grant = try await rig.store.grant(object, pinnedTo: info.version, lifetime: .seconds(60))
    guard case .path(let path) = grant.source else {
      Issue.record("the grant is no path")
      return
    }
    #expect(path.hasSuffix("/root/b/file"))
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "one")
    #expect(grant.size == 3)
    #expect(grant.etag == info.etag)
    var status = stat()
    #expect(lstat(path, &status) == 0)
    #expect(grant.modifiedNanoseconds == Int64(status.st_mtim.tv_sec) * 1_000_000_000 + Int64(status.st_mtim.tv_nsec))

    try rig.write("root/b/file", "three")
    let error = await failure { _ = try await rig.store.grant(object, pinnedTo: info.version, lifetime: .seconds(60)) }
    #expect(error?.kind == .conflict)
    #expect(try await rig.store.stat(object).etag != info.etag)
  }

  @Test("a root that is not there is missing, not an empty list")
  func noRoot() async throws {
    let store = try FolderObjectStore(ObjectStoreSettings(provider: "folder", root: "/nonexistent/ferry"))
    let error = await failure { _ = try await store.buckets(after: nil, limit: 0) }
    #expect(error?.kind == .missing)
  }
}
