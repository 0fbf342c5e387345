// What was selected becomes which files under which names; nothing unsafe and no clash gets past the plan.
import Destinations
import FerryAPI
import RPC
import Testing

@testable import TransferService

/// A bucket as a list of keys.
struct KeyCatalog: SourceCatalog {
  var objects: [String: Int64]
  var pageSize = 2

  init(_ objects: [String: Int64]) { self.objects = objects }
  init(_ keys: String...) { objects = Dictionary(uniqueKeysWithValues: keys.map { ($0, Int64(1)) }) }

  private func info(_ key: String) -> ObjectInfo? {
    objects[key].map { size in
      ObjectInfo.with { ($0.bucket, $0.key, $0.size, $0.etag) = ("b", key, size, "\"\(key)\"") }
    }
  }

  func stat(_ key: String) async throws(DeliveryFailure) -> ObjectInfo? { info(key) }

  func list(prefix: String, pageToken: String) async throws(DeliveryFailure) -> (objects: [ObjectInfo], next: String) {
    let keys = objects.keys.filter { $0.hasPrefix(prefix) && $0 > pageToken }.sorted()
    let page = keys.prefix(pageSize)
    return (page.compactMap(info), keys.count > pageSize ? page.last ?? "" : "")
  }
}

/// A plan with all its files.
private struct WholePlan {
  var files: [PlannedFile] = []
  var plan = Plan()
  var problems: [Problem] { plan.problems }
  var excluded: Int64 { plan.excluded }
}

@Suite struct PlannerTests {
  private func all(_ planner: Planner, _ selections: [Selection]) async throws -> WholePlan {
    var whole = WholePlan()
    whole.plan = try await planner.plan(selections) { whole.files += $0 }
    #expect(whole.plan.files == Int64(whole.files.count))
    #expect(whole.plan.bytes == whole.files.reduce(0) { $0 + $1.file.size })
    #expect(whole.files.map(\.file.index) == Array(0..<Int32(whole.files.count)))
    return whole
  }

  private func plan(
    _ catalog: KeyCatalog, _ selections: [(SelectionKind, String)], to path: String, isFolder: Bool,
    isDirectory: Bool = false
  ) async throws -> WholePlan {
    let planner = Planner(catalog: catalog, path: try RemotePath(text: path), isFolder: isFolder) {
      () async throws(DeliveryFailure) in isDirectory
    }
    return try await all(
      planner, selections.map { (kind, value) in Selection.with { ($0.kind, $0.value) = (kind, value) } })
  }

  private func names(_ plan: WholePlan) -> [String] { plan.files.map(\.file.remotePath) }

  private func plan(_ catalog: KeyCatalog, glob: String, excludes: [String] = [], flatten: Bool = false) async throws -> WholePlan {
    let request = DeliveryRequest.with {
      $0.source = .with { $0.excludes = excludes }
      $0.options = .with { $0.folders = flatten ? .flatten : .keep }
    }
    let planner = try Planner(request, ticket: "REQ1", now: Timestamp(), catalog: catalog, path: try RemotePath(text: "/out"), isFolder: true) {
      () async throws(DeliveryFailure) in false
    }
    return try await all(planner, [.with { ($0.kind, $0.value) = (.glob, glob) }])
  }

  @Test("a glob selects what it matches and keeps the path from its last plain folder on")
  func globs() async throws {
    let catalog = KeyCatalog("in/2024/a.csv", "in/2024/b.txt", "in/2024/x/c.csv", "other/d.csv")
    #expect(names(try await plan(catalog, glob: "in/2024/*.csv")) == ["/out/a.csv"])
    #expect(names(try await plan(catalog, glob: "in/**/*.csv")) == ["/out/2024/a.csv", "/out/2024/x/c.csv"])
    #expect(names(try await plan(catalog, glob: "in/**/*.csv", flatten: true)) == ["/out/a.csv", "/out/c.csv"])
  }

  @Test("excludes leave out and are counted; leaving out everything is told as that")
  func excludes() async throws {
    let catalog = KeyCatalog("in/a.csv", "in/a.tmp", "in/x/b.tmp")
    let some = try await plan(catalog, glob: "in/**", excludes: ["*.tmp"])
    #expect(names(some) == ["/out/a.csv"] && some.excluded == 2 && some.problems.isEmpty)
    let none = try await plan(catalog, glob: "in/**", excludes: ["in/**"])
    #expect(none.excluded == 3 && none.problems.first?.message.contains("excludes leave out all 3") == true)
  }

  @Test("a glob that matches nothing says so, and files that meet when folders go are a clash")
  func globProblems() async throws {
    let catalog = KeyCatalog("in/x/a", "in/y/a")
    #expect(try await plan(catalog, glob: "in/*.csv").problems.first?.message == #"No object matches "in/*.csv"."#)
    let clash = try await plan(catalog, glob: "in/**", flatten: true)
    #expect(clash.problems.map(\.code) == ["NAME_CLASH"])
  }

  @Test("a key goes into a path that ends in a slash under its own name")
  func keyIntoFolder() async throws {
    let plan = try await plan(KeyCatalog("in/a.csv"), [(.key, "in/a.csv")], to: "/out", isFolder: true)
    #expect(names(plan) == ["/out/a.csv"])
    #expect(plan.problems.isEmpty)
  }

  @Test("a single key takes a path without a slash as its name, unless there is a folder of that name")
  func keyAsName() async throws {
    let catalog = KeyCatalog("in/a.csv")
    #expect(names(try await plan(catalog, [(.key, "in/a.csv")], to: "/out/b.csv", isFolder: false)) == ["/out/b.csv"])
    let into = try await plan(catalog, [(.key, "in/a.csv")], to: "/out", isFolder: false, isDirectory: true)
    #expect(names(into) == ["/out/a.csv"])
  }

  @Test("several keys take the path as a folder")
  func severalKeys() async throws {
    let plan = try await plan(KeyCatalog("a", "b"), [(.key, "a"), (.key, "b")], to: "out", isFolder: false)
    #expect(names(plan) == ["out/a", "out/b"])
  }

  @Test("a prefix keeps the path from its own folder on", arguments: [
    ("in/2024/", ["/out/a", "/out/b/c"]), ("in/2024", ["/out/2024/a", "/out/2024/b/c"]),
    ("in/20", ["/out/2024/a", "/out/2024/b/c"]), ("", ["/out/in/2024/a", "/out/in/2024/b/c", "/out/z"]),
  ])
  func prefixes(_ prefix: String, _ expected: [String]) async throws {
    let catalog = KeyCatalog("in/2024/a", "in/2024/b/c", "in/2024/marker/", "z")
    let plan = try await plan(catalog, [(.prefix, prefix)], to: "/out", isFolder: true)
    #expect(names(plan) == expected)
  }

  @Test("an unspecified selection is the object of that key, else the folder of that name")
  func automatic() async throws {
    let catalog = KeyCatalog("in", "in/a", "dir/x", "directory/y")
    #expect(names(try await plan(catalog, [(.unspecified, "in")], to: "/o", isFolder: true)) == ["/o/in"])
    #expect(names(try await plan(catalog, [(.unspecified, "dir")], to: "/o", isFolder: true)) == ["/o/x"])
  }

  @Test("a missing key is told with its name, and nothing under a prefix is told as nothing selected")
  func missing() async throws {
    let key = try await plan(KeyCatalog("a"), [(.key, "b")], to: "/o", isFolder: true)
    #expect(key.problems.map(\.code) == ["OBJECT_MISSING"])
    #expect(key.problems.first?.subject == "b")
    let prefix = try await plan(KeyCatalog("a"), [(.prefix, "b/")], to: "/o", isFolder: true)
    #expect(prefix.problems.map(\.code) == ["NOTHING_SELECTED"])
  }

  @Test("keys that would leave the folder, or are no names, stop the plan", arguments: [
    "in/../../etc/passwd", "in//a", "in/./a", "in/a\u{1}b", "in/a\nb", "in/" + String(repeating: "n", count: 256),
  ])
  func unsafe(_ key: String) async throws {
    let plan = try await plan(KeyCatalog(key, "in/good"), [(.prefix, "in/")], to: "/out", isFolder: true)
    #expect(plan.problems.map(\.code) == ["NAME_UNSAFE"])
    #expect(plan.problems.allSatisfy { !$0.nextStep.isEmpty })
  }

  @Test("two objects that need one name clash", arguments: [
    ["x/a", "y/a"], ["x/a", "y/a/b"], ["x/a/b", "y/a"], ["x/a", "y/a.part"], ["x/a.part", "y/a"], ["x/a", "y/a.part/c"],
  ])
  func clashes(_ keys: [String]) async throws {
    let catalog = KeyCatalog(Dictionary(uniqueKeysWithValues: keys.map { ($0, Int64(1)) }))
    let plan = try await plan(catalog, [(.prefix, "x/"), (.prefix, "y/")], to: "/out", isFolder: true)
    #expect(plan.problems.map(\.code) == ["NAME_CLASH"])
  }

  @Test("a mapping names files, and what it makes alike is a clash")
  func mapped() async throws {
    func plan(_ mapping: NameMapping, sidecars: Bool = false, _ keys: [String]) async throws -> WholePlan {
      let request = DeliveryRequest.with { request in
        (request.assignmentGroup, request.environment) = ("Ops/EU", .prod)
        request.options = .with { ($0.names, $0.checksumSidecar) = (mapping, sidecars) }
      }
      let catalog = KeyCatalog(Dictionary(uniqueKeysWithValues: keys.map { ($0, Int64(1)) }))
      let planner = try Planner(
        request, ticket: "REQ7", now: Timestamp(milliseconds: 1_790_000_000_000), catalog: catalog,
        path: try RemotePath(text: "/out"), isFolder: true
      ) { () async throws(DeliveryFailure) in false }
      return try await all(planner, [.with { ($0.kind, $0.value) = (.prefix, "in/") }])
    }
    let template = NameMapping.with { $0.template = "{folder}/{index}-{stem}_{date}.{ext}" }
    #expect(
      names(try await plan(template, ["in/a.csv", "in/x/b"])) == ["/out/1-a_2026-09-21.csv", "/out/x/2-b_2026-09-21"])
    let told = NameMapping.with { $0.template = "{{{ticket}}} {group} {environment} {name}" }
    #expect(names(try await plan(told, ["in/a.csv"])) == ["/out/{REQ7} Ops-EU prod a.csv"])
    let texts = NameMapping.with {
      ($0.letterCase, $0.replacements) = (.upper, [.with { ($0.find, $0.replace) = ("/", "_") }])
    }
    #expect(names(try await plan(texts, ["in/x/b.csv"])) == ["/out/X_B.CSV"])
    let alike = try await plan(.with { $0.template = "all.{ext}" }, ["in/a.csv", "in/b.csv", "in/c.csv"])
    #expect(alike.problems.map(\.code) == ["NAME_CLASH", "NAME_CLASH"])
    #expect(alike.problems.first?.message.hasPrefix("\"in/a.csv\" and \"in/b.csv\" would both") == true)
    #expect(try await plan(.with { $0.template = "../{name}" }, ["in/a"]).problems.map(\.code) == ["NAME_UNSAFE"])
    let sidecar = try await plan(NameMapping(), sidecars: true, ["in/a", "in/a.sha256"])
    #expect(sidecar.problems.map(\.code) == ["NAME_CLASH"])
  }

  @Test("what files are compressed to is part of their names, and clashes by it are found")
  func compressed() async throws {
    func plan(_ compression: Compression, _ keys: [String], to path: String = "/out", isFolder: Bool = true) async throws -> WholePlan {
      let request = DeliveryRequest.with { $0.options = .with { $0.compression = compression } }
      let catalog = KeyCatalog(Dictionary(uniqueKeysWithValues: keys.map { ($0, Int64(1)) }))
      let planner = try Planner(
        request, ticket: "REQ7", now: Timestamp(milliseconds: 0), catalog: catalog, path: try RemotePath(text: path),
        isFolder: isFolder
      ) { () async throws(DeliveryFailure) in false }
      return try await all(planner, keys.map { key in .with { ($0.kind, $0.value) = (.key, key) } })
    }
    #expect(names(try await plan(.gzip, ["a.csv", "b"])) == ["/out/a.csv.gz", "/out/b.gz"])
    #expect(names(try await plan(.zstd, ["a.csv"])) == ["/out/a.csv.zst"])
    #expect(names(try await plan(.automatic, ["a.csv"])) == ["/out/a.csv"])  // a sample decides later
    #expect(names(try await plan(.gzip, ["a.csv"], to: "/out/b.csv", isFolder: false)) == ["/out/b.csv.gz"])
    #expect(names(try await plan(.gzip, ["a.csv"], to: "/out/b.csv.gz", isFolder: false)) == ["/out/b.csv.gz"])
    #expect(try await plan(.automatic, ["a", "a.gz"]).problems.map(\.code) == ["NAME_CLASH"])
    #expect(try await plan(.gzip, ["a", "a.gz"]).problems.isEmpty)
    let long = String(repeating: "x", count: RemotePath.maxNameBytes)
    #expect(try await plan(.gzip, [long]).problems.map(\.code) == ["NAME_UNSAFE"])
    #expect(try await plan(.automatic, [long]).problems.map(\.code) == ["NAME_UNSAFE"])
    #expect(try await plan(.none, [long]).problems.isEmpty)
  }

  @Test("a mapping that can't be used says why", arguments: [
    ("{stem", "has no '}' to its '{'"), ("a}", "has a '}' without its '{'"), ("{size}", "has the field {size}, which is none of"),
  ])
  func malformedMapping(_ template: String, _ reason: String) throws {
    do throws(RPCError) {
      _ = try RequestCheck.check(
        .with { request in
          request.source = .with { ($0.bucket, $0.selections) = ("b", [Selection()]) }
          request.options = .with { $0.names = .with { $0.template = template } }
        })
      Issue.record("it was taken")
    } catch {
      #expect(error.message.contains(reason), "\(error.message)")
    }
  }

  @Test("spellings that only look alike are two names")
  func composition() async throws {
    let catalog = KeyCatalog("x/caf\u{E9}", "y/cafe\u{301}")
    let plan = try await plan(catalog, [(.prefix, "x/"), (.prefix, "y/")], to: "/o", isFolder: true)
    #expect(plan.problems.isEmpty)
    #expect(plan.files.count == 2)
  }

  @Test("chunks are as large as asked for, and larger where a file would have too many")
  func chunkSizes() {
    #expect(Planner.chunkSize(10, wanted: 0) == 8 << 20)
    #expect(Planner.chunkSize(1 << 30, wanted: 1 << 20) == 1 << 20)
    let huge = Planner.chunkSize(5 << 40, wanted: 1 << 20)
    #expect((Int64(5 << 40) + huge - 1) / huge <= Planner.maxChunks)
  }
}
