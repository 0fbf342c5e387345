// From what was selected to the files that will move: which objects, and the name of each at the destination. All names
// are checked before anything moves; it asks the source through a catalogue and the destination one question.
import Destinations
import FerryAPI
import RPC

/// What the planner asks of the source.
protocol SourceCatalog: Sendable {
  /// Nil if there is no such object.
  func stat(_ key: String) async throws(DeliveryFailure) -> ObjectInfo?
  /// In the order of keys; the token of the next page is empty on the last one.
  func list(prefix: String, pageToken: String) async throws(DeliveryFailure) -> (objects: [ObjectInfo], next: String)
}

struct PlannedFile: Sendable, Equatable {
  var file: DeliveryFile
  /// Base64 of the object's SHA-256 where the provider states one; else empty.
  var sourceSHA256 = ""
  /// The provider's word for where the object lies: "STANDARD_IA"; empty where it tells none.
  var storageClass = ""
}

struct Plan: Sendable {
  var files: [PlannedFile] = []
  /// What would stop the delivery; none if it can go on.
  var problems: [Problem] = []
  /// Files that the excludes left out.
  var excluded: Int64 = 0
  var bytes: Int64 { files.reduce(0) { $0 + $1.file.size } }
}

struct Planner: Sendable {
  /// Files in a delivery.
  static let maxFiles = 10_000
  /// Problems told at once.
  static let maxProblems = 20
  /// Chunks of a file; larger files get larger chunks.
  static let maxChunks: Int64 = 40_000

  let catalog: any SourceCatalog
  /// What matches one of these is left out.
  var excludes: [Glob] = []
  /// Files lose their folders.
  var flattens = false
  /// Where files go.
  let path: RemotePath
  /// The path means a folder.
  let isFolder: Bool
  /// Whether the path is a folder at the destination; asked only where that decides. Nil where it can't be asked.
  let isDirectory: @Sendable () async throws(DeliveryFailure) -> Bool

  /// For the choices of a request that was checked.
  init(
    _ request: DeliveryRequest?, catalog: any SourceCatalog, path: RemotePath, isFolder: Bool,
    isDirectory: @escaping @Sendable () async throws(DeliveryFailure) -> Bool
  ) throws(RPCError) {
    self.init(catalog: catalog, path: path, isFolder: isFolder, isDirectory: isDirectory)
    excludes = try (request?.source?.excludes ?? []).map { (pattern) throws(RPCError) in try RequestCheck.glob(pattern) }
    flattens = request?.options?.folders == .flatten
  }

  init(
    catalog: any SourceCatalog, path: RemotePath, isFolder: Bool,
    isDirectory: @escaping @Sendable () async throws(DeliveryFailure) -> Bool
  ) {
    (self.catalog, self.path, self.isFolder, self.isDirectory) = (catalog, path, isFolder, isDirectory)
  }

  /// Throws what concerns the source as a whole; what concerns single names is in the plan's problems.
  func plan(_ selections: [Selection]) async throws(DeliveryFailure) -> Plan {
    var found: [(object: ObjectInfo, name: String, isKey: Bool)] = []
    var plan = Plan()
    for selection in selections {
      try await select(selection, into: &found, &plan)
    }
    if found.isEmpty {
      if plan.problems.isEmpty { plan.problems.append(Self.nothing(selections, excluded: plan.excluded).problem) }
      return plan
    }
    // The path itself is the name of a single file, unless it means a folder.
    var pathIsName = !isFolder && found.count == 1 && found[0].isKey
    if pathIsName, try await isDirectory() { pathIsName = false }
    var names = NameClashes()
    for (object, name, _) in found {
      do throws(DestinationError) {
        let target = pathIsName ? path : try path.appending(name)
        if let clash = names.add(target, key: object.key) { note(clash, &plan.problems) }
        plan.files.append(planned(object, target, index: plan.files.count))
      } catch {
        note(unsafe(object, error).problem, &plan.problems)
      }
    }
    return plan
  }

  private func note(_ problem: Problem, _ problems: inout [Problem]) {
    if problems.count < Self.maxProblems { problems.append(problem) }
  }

  // MARK: Selections

  private func select(
    _ selection: Selection, into found: inout [(object: ObjectInfo, name: String, isKey: Bool)],
    _ plan: inout Plan
  ) async throws(DeliveryFailure) {
    let value = selection.value
    let before = (found.count, plan.excluded)
    switch selection.kind {
    case .prefix:
      try await selectAll(prefix: value, into: &found, &plan)
    case .key:
      guard let object = try await catalog.stat(value) else { return note(Self.missing(value).problem, &plan.problems) }
      try append((object, Self.baseName(value), true), to: &found, &plan)
    case .glob:
      let glob: Glob
      do throws(RPCError) { glob = try RequestCheck.glob(value) } catch { throw DeliveryFailure(error, from: "transfer") }
      try await selectAll(prefix: glob.literalPrefix, matching: glob, into: &found, &plan)
      if (found.count, plan.excluded) == before { note(Self.unmatched(value).problem, &plan.problems) }
    default:
      if !value.isEmpty, !value.hasSuffix("/"), let object = try await catalog.stat(value) {
        return try append((object, Self.baseName(value), true), to: &found, &plan)
      }
      try await selectAll(prefix: value.isEmpty || value.hasSuffix("/") ? value : value + "/", into: &found, &plan)
      if (found.count, plan.excluded) == before { note(Self.missing(value).problem, &plan.problems) }
    }
  }

  /// Keys below a prefix keep their path from the prefix's own folder on: "in/2024" selects "in/2024/a" as "2024/a".
  private func selectAll(
    prefix: String, matching glob: Glob? = nil, into found: inout [(object: ObjectInfo, name: String, isKey: Bool)],
    _ plan: inout Plan
  ) async throws(DeliveryFailure) {
    let slash = prefix.utf8.lastIndex(of: UInt8(ascii: "/"))
    let folder = slash.map { prefix.utf8.distance(from: prefix.startIndex, to: $0) + 1 } ?? 0
    var token = ""
    repeat {
      let page = try await catalog.list(prefix: prefix, pageToken: token)
      for object in page.objects where !object.key.hasSuffix("/") {  // a folder's own marker is no file
        guard glob?.matches(object.key) ?? true else { continue }
        let name = flattens
          ? Self.baseName(object.key) : String(decoding: object.key.utf8.dropFirst(folder), as: UTF8.self)
        try append((object, name, false), to: &found, &plan)
      }
      token = page.next
    } while !token.isEmpty
  }

  private func append(
    _ entry: (object: ObjectInfo, name: String, isKey: Bool),
    to found: inout [(object: ObjectInfo, name: String, isKey: Bool)], _ plan: inout Plan
  ) throws(DeliveryFailure) {
    guard !excludes.contains(where: { $0.excludes(entry.object.key) }) else {
      plan.excluded += 1
      return
    }
    guard found.count < Self.maxFiles else {
      throw DeliveryFailure(
        "TOO_MANY_FILES", "More than \(Self.maxFiles) files are selected.",
        next: "Deliver them in several parts, by narrower prefixes.", scope: .delivery)
    }
    found.append(entry)
  }

  private static func baseName(_ key: String) -> String {
    let parts = key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    return parts.last.map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  // MARK: Files

  private func planned(_ object: ObjectInfo, _ target: RemotePath, index: Int) -> PlannedFile {
    var file = DeliveryFile()
    file.index = Int32(index)
    file.key = object.key
    file.remotePath = target.text
    file.size = object.size
    file.etag = object.etag
    file.versionID = object.versionID
    file.status = .waiting
    file.sourceModifiedAt = object.modifiedAt
    return PlannedFile(
      file: file, sourceSHA256: object.checksums.first { $0.algorithm == "SHA256" }?.value ?? "",
      storageClass: object.storageClass)
  }

  /// Bytes of each chunk of a file but the last: as asked for, larger where the file would have too many.
  static func chunkSize(_ fileSize: Int64, wanted: Int64) -> Int64 {
    let wanted = wanted == 0 ? RequestCheck.defaultChunkSize : wanted
    return max(wanted, (fileSize + maxChunks - 1) / maxChunks)
  }

  // MARK: Problems

  static func missing(_ key: String) -> DeliveryFailure {
    DeliveryFailure(
      "OBJECT_MISSING",
      "There is no object \(quoted(key)), and nothing under it as a folder.",
      next: "Check the key; it is case-sensitive.", scope: .delivery, subject: key)
  }

  private static func unmatched(_ pattern: String) -> DeliveryFailure {
    DeliveryFailure(
      "NOTHING_SELECTED", "No object matches \(quoted(pattern)).",
      next: "Check the pattern: it is case-sensitive, '*' stays within a folder, and '**' crosses folders.",
      scope: .delivery, subject: pattern)
  }

  private static func nothing(_ selections: [Selection], excluded: Int64) -> DeliveryFailure {
    let first = selections.first.map { String($0.value.prefix(255)) } ?? ""
    guard excluded == 0 else {
      return DeliveryFailure(
        "NOTHING_SELECTED", "No files are selected: the excludes leave out all \(excluded) that were found.",
        next: "Exclude less.", scope: .delivery, subject: first)
    }
    return DeliveryFailure(
      "NOTHING_SELECTED", "No files are selected: there is nothing under \(first.debugDescription).",
      next: "Check the prefixes and keys; they are case-sensitive.", scope: .delivery, subject: first)
  }

  static func quoted(_ key: String) -> String { String(key.prefix(255)).debugDescription }

  private func unsafe(_ object: ObjectInfo, _ error: DestinationError) -> DeliveryFailure {
    DeliveryFailure(
      "NAME_UNSAFE",
      "The object \(Self.quoted(object.key)) can't have its name at the destination: \(error.message)",
      next: "Rename the object, or deliver it alone under a path of its own.", scope: .delivery, subject: object.key)
  }
}

/// Finds names that would get into each other's way: the same file twice, a file where another needs a folder, and a
/// file named like another's .part.
struct NameClashes {
  private var files: [String: String] = [:]
  private var parts: [String: String] = [:]
  private var folders: [String: String] = [:]

  /// The clash, if there is one. Names count by their bytes: two spellings of one letter are two names.
  mutating func add(_ path: RemotePath, key: String) -> Problem? {
    let (name, part) = (Self.bytes(path), Self.bytes(path.part))
    var other = files[name] ?? parts[name] ?? files[part] ?? parts[part] ?? folders[name] ?? folders[part]
    var folder = path.parent
    while other == nil, folder.name != nil {
      let text = Self.bytes(folder)
      other = files[text] ?? parts[text]
      folder = folder.parent
    }
    if let other {
      return DeliveryFailure(
        "NAME_CLASH",
        "\(Planner.quoted(other)) and \(Planner.quoted(key)) would both need the name \(path) at the destination.",
        next: "Deliver one of them to another path, or in a delivery of its own.", scope: .delivery, subject: key
      ).problem
    }
    (files[name], parts[part]) = (key, key)
    folder = path.parent
    while folder.name != nil {
      folders[Self.bytes(folder)] = key
      folder = folder.parent
    }
    return nil
  }

  /// A dictionary of Strings takes canonically equal names for the same one; a file system doesn't.
  private static func bytes(_ path: RemotePath) -> String { Hex.encode(path.text.utf8) }
}

extension RemotePath {
  /// From `text`, as it was journalled.
  init(text: String) throws(DestinationError) {
    let isRoot = text.utf8.first == UInt8(ascii: "/")
    self = try RemotePath(isRoot ? .root : .home).appending(isRoot ? String(text.dropFirst()) : text)
  }
}
