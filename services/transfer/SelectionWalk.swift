// From what was selected to the objects that it means, one by one, each with the name that it keeps at the destination. It
// holds a page of the source's listing and no more, however many objects there are.
import FerryAPI
import RPC

/// What the planner asks of the source.
protocol SourceCatalog: Sendable {
  /// Nil if there is no such object.
  func stat(_ key: String) async throws(DeliveryFailure) -> ObjectInfo?
  /// In the order of keys; the token of the next page is empty on the last one.
  func list(prefix: String, pageToken: String) async throws(DeliveryFailure) -> (objects: [ObjectInfo], next: String)
}

struct SelectionWalk {
  struct Entry {
    var object: ObjectInfo
    /// Below the destination's path.
    var name: String
    /// It was selected by its own key.
    var isKey: Bool
    /// 1 for the first.
    var ordinal: Int64 = 0
  }

  let catalog: any SourceCatalog
  /// What matches one of these is left out.
  let excludes: [Glob]
  /// Files lose their folders.
  let flattens: Bool

  private(set) var found: Int64 = 0
  private(set) var excluded: Int64 = 0
  /// Selections that mean nothing, up to `Planner.maxProblems`.
  private(set) var problems: [Problem] = []

  init(catalog: any SourceCatalog, excludes: [Glob], flattens: Bool) {
    (self.catalog, self.excludes, self.flattens) = (catalog, excludes, flattens)
  }

  typealias Visit = (Entry) async throws -> Void

  /// Throws DeliveryFailure for what concerns the source as a whole, and what `visit` throws.
  mutating func run(_ selections: [Selection], _ visit: Visit) async throws {
    for selection in selections { try await select(selection, visit) }
  }

  private mutating func select(_ selection: Selection, _ visit: Visit) async throws {
    let value = selection.value
    let before = (found, excluded)
    switch selection.kind {
    case .prefix:
      try await selectAll(prefix: value, nil, visit)
    case .key:
      guard let object = try await catalog.stat(value) else { return note(Self.missing(value).problem) }
      try await take(Entry(object: object, name: Self.baseName(value), isKey: true), visit)
    case .glob:
      let glob: Glob
      do throws(RPCError) { glob = try RequestCheck.glob(value) } catch { throw DeliveryFailure(error, from: "transfer") }
      try await selectAll(prefix: glob.literalPrefix, glob, visit)
      if (found, excluded) == before { note(Self.unmatched(value).problem) }
    default:
      if !value.isEmpty, !value.hasSuffix("/"), let object = try await catalog.stat(value) {
        return try await take(Entry(object: object, name: Self.baseName(value), isKey: true), visit)
      }
      try await selectAll(prefix: value.isEmpty || value.hasSuffix("/") ? value : value + "/", nil, visit)
      if (found, excluded) == before { note(Self.missing(value).problem) }
    }
  }

  /// Keys below a prefix keep their path from the prefix's own folder on: "in/2024" selects "in/2024/a" as "2024/a".
  private mutating func selectAll(prefix: String, _ glob: Glob?, _ visit: Visit) async throws {
    let slash = prefix.utf8.lastIndex(of: UInt8(ascii: "/"))
    let folder = slash.map { prefix.utf8.distance(from: prefix.startIndex, to: $0) + 1 } ?? 0
    var token = ""
    repeat {
      let page = try await catalog.list(prefix: prefix, pageToken: token)
      for object in page.objects where !object.key.hasSuffix("/") {  // a folder's own marker is no file
        guard glob?.matches(object.key) ?? true else { continue }
        let name =
          flattens ? Self.baseName(object.key) : String(decoding: object.key.utf8.dropFirst(folder), as: UTF8.self)
        try await take(Entry(object: object, name: name, isKey: false), visit)
      }
      token = page.next
    } while !token.isEmpty
  }

  private mutating func take(_ entry: Entry, _ visit: Visit) async throws {
    guard !excludes.contains(where: { $0.excludes(entry.object.key) }) else {
      excluded += 1
      return
    }
    guard found < Planner.maxFiles else {
      throw DeliveryFailure(
        "TOO_MANY_FILES", "More than \(Planner.maxFiles) files are selected.",
        next: "Deliver them in several parts, by narrower prefixes.", scope: .delivery)
    }
    found += 1
    var entry = entry
    entry.ordinal = found
    try await visit(entry)
  }

  private mutating func note(_ problem: Problem) {
    if problems.count < Planner.maxProblems { problems.append(problem) }
  }

  private static func baseName(_ key: String) -> String {
    let parts = key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    return parts.last.map { String(decoding: $0, as: UTF8.self) } ?? ""
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

  static func nothing(_ selections: [Selection], excluded: Int64) -> DeliveryFailure {
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
}
