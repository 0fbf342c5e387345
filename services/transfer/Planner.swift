// From what was selected to the files that will move: which objects, and the name of each at the destination. All names
// are checked before anything moves; it asks the source through a catalogue and the destination one question. Files are
// handed on a page at a time, so that a plan takes no memory for them but their names' hashes.
import Destinations
import FerryAPI
import RPC

struct PlannedFile: Sendable, Equatable {
  var file: DeliveryFile
  /// Base64 of the object's SHA-256 where the provider states one; else empty.
  var sourceSHA256 = ""
  /// The provider's word for where the object lies: "STANDARD_IA"; empty where it tells none.
  var storageClass = ""
}

/// What a plan comes to, once all its files were handed on.
struct Plan: Sendable {
  var files: Int64 = 0
  var bytes: Int64 = 0
  /// What would stop the delivery; none if it can go on.
  var problems: [Problem] = []
  /// Files that the excludes left out.
  var excluded: Int64 = 0
}

struct Planner: Sendable {
  /// Files in a delivery.
  static let maxFiles: Int64 = 1_000_000
  /// Files handed on at once.
  static let pageFiles = 250
  /// Problems told at once.
  static let maxProblems = 20
  /// Chunks of a file; larger files get larger chunks.
  static let maxChunks: Int64 = 40_000

  let catalog: any SourceCatalog
  /// What matches one of these is left out.
  var excludes: [Glob] = []
  /// Files lose their folders.
  var flattens = false
  var mapper: NameMapper?
  /// Each file needs a name for its ".sha256", too.
  var hasSidecars = false
  /// What files are compressed to, and their names tell.
  var compression = Compression.none
  /// Where files go.
  let path: RemotePath
  /// The path means a folder.
  let isFolder: Bool
  /// Whether the path is a folder at the destination; asked only where that decides. Nil where it can't be asked.
  let isDirectory: @Sendable () async throws(DeliveryFailure) -> Bool

  /// For the choices of a request that was checked.
  /// - Parameters:
  ///   - ticket: the requester's, for names that tell it.
  ///   - now: the moment of the planning.
  init(
    _ request: DeliveryRequest?, ticket: String, now: Timestamp, catalog: any SourceCatalog, path: RemotePath, isFolder: Bool,
    isDirectory: @escaping @Sendable () async throws(DeliveryFailure) -> Bool
  ) throws(RPCError) {
    self.init(catalog: catalog, path: path, isFolder: isFolder, isDirectory: isDirectory)
    excludes = try (request?.source?.excludes ?? []).map { (pattern) throws(RPCError) in try RequestCheck.glob(pattern) }
    flattens = request?.options?.folders == .flatten
    hasSidecars = request?.options?.checksumSidecar ?? false
    compression = request?.options?.compression ?? .none
    mapper = try (request?.options?.names).map { (mapping) throws(RPCError) in
      try RequestCheck.names(
        mapping, NameMapper.Delivery(
          ticket: ticket, group: request?.assignmentGroup ?? "", environment: request?.environment ?? .unspecified,
          time: now))
    }
  }

  init(
    catalog: any SourceCatalog, path: RemotePath, isFolder: Bool,
    isDirectory: @escaping @Sendable () async throws(DeliveryFailure) -> Bool
  ) {
    (self.catalog, self.path, self.isFolder, self.isDirectory) = (catalog, path, isFolder, isDirectory)
  }

  /// Hands on every file, in order, also those of a plan that turns out to have problems. Throws DeliveryFailure for what
  /// concerns the source as a whole, and what `handOn` throws; what concerns single names is in the plan's problems.
  func plan(_ selections: [Selection], _ handOn: ([PlannedFile]) async throws -> Void) async throws -> Plan {
    var pages = PlanPages(path: path, mapper: mapper, hasSidecars: hasSidecars, compression: compression)
    var (count, held): (Int, SelectionWalk.Entry?) = (0, nil)
    var walk = SelectionWalk(catalog: catalog, excludes: excludes, flattens: flattens)
    try await walk.run(selections) { entry in
      // The path itself may be the name of a single file; whether there are more shows with the second, or at the end.
      count += 1
      if count == 1 { return held = entry }
      if let first = held {
        held = nil
        try await pages.add(first, handOn)
      }
      try await pages.add(entry, handOn)
    }
    if let only = held {
      var pathIsName = !isFolder && only.isKey
      if pathIsName, try await isDirectory() { pathIsName = false }
      try await pages.add(only, at: pathIsName ? path : nil, handOn)
    }
    try await pages.flush(handOn)

    var plan = Plan(files: pages.files, bytes: pages.bytes, problems: walk.problems, excluded: walk.excluded)
    if walk.found == 0, plan.problems.isEmpty {
      plan.problems = [SelectionWalk.nothing(selections, excluded: walk.excluded).problem]
    }
    plan.problems += pages.problems
    if !pages.clashes.isEmpty { plan.problems += try await told(pages.clashes, selections) }
    plan.problems = Array(plan.problems.prefix(Self.maxProblems))
    return plan
  }

  /// The names of all files are not kept: the first file of each clash is found by walking once more.
  private func told(_ clashes: [PlanPages.Clash], _ selections: [Selection]) async throws -> [Problem] {
    struct AllFound: Error {}
    let wanted = Set(clashes.map(\.taken))
    var firsts: [NameClashes.Taken: String] = [:]
    let naming = PlanPages(path: path, mapper: mapper, hasSidecars: hasSidecars, compression: compression)
    var walk = SelectionWalk(catalog: catalog, excludes: excludes, flattens: flattens)
    do {
      try await walk.run(selections) { entry in
        guard let target = try? naming.target(entry), let names = try? naming.names(target) else { return }  // told already
        for taken in names.flatMap(NameClashes.taken) where firsts[taken] == nil && wanted.contains(taken) {
          firsts[taken] = entry.object.key
        }
        if firsts.count == wanted.count { throw AllFound() }
      }
    } catch is AllFound {}
    return clashes.map { clash in
      let first = firsts[clash.taken].map(SelectionWalk.quoted) ?? "Another file"
      return DeliveryFailure(
        "NAME_CLASH",
        "\(first) and \(SelectionWalk.quoted(clash.key)) would both need the name \(clash.target) at the destination.",
        next: "Deliver one of them to another path, or in a delivery of its own.", scope: .delivery, subject: clash.key
      ).problem
    }
  }

  /// Bytes of each chunk of a file but the last: as asked for, larger where the file would have too many.
  static func chunkSize(_ fileSize: Int64, wanted: Int64) -> Int64 {
    let wanted = wanted == 0 ? RequestCheck.defaultChunkSize : wanted
    return max(wanted, (fileSize + maxChunks - 1) / maxChunks)
  }

  /// An empty file has no chunk, but compressed it is one of a few bytes.
  static func chunks(_ file: DeliveryFile, chunkSize: Int64) -> Int64 {
    max((file.size + chunkSize - 1) / chunkSize, file.compression.format == nil ? 0 : 1)
  }
}

/// Gives each object its name at the destination, and hands the files on by pages.
private struct PlanPages {
  struct Clash {
    var taken: NameClashes.Taken
    var target: RemotePath
    var key: String
  }

  let path: RemotePath
  let mapper: NameMapper?
  let hasSidecars: Bool
  let compression: Compression
  private(set) var files: Int64 = 0
  private(set) var bytes: Int64 = 0
  /// Names that can't be.
  private(set) var problems: [Problem] = []
  private(set) var clashes: [Clash] = []
  private var clash = NameClashes()
  private var page: [PlannedFile] = []

  init(path: RemotePath, mapper: NameMapper?, hasSidecars: Bool, compression: Compression) {
    (self.path, self.mapper, self.hasSidecars, self.compression) = (path, mapper, hasSidecars, compression)
  }

  func target(_ entry: SelectionWalk.Entry) throws(DestinationError) -> RemotePath {
    let name = try path.appending(mapper?.map(entry.name, index: entry.ordinal) ?? entry.name)
    guard let format = compression.format else { return name }
    return try name.suffixed(format.suffix)
  }

  /// Of a single file whose name the requester gave: it may tell the compression already.
  private func target(named name: RemotePath) throws(DestinationError) -> RemotePath {
    guard let format = compression.format, name.name?.hasSuffix(format.suffix) == false else { return name }
    return try name.suffixed(format.suffix)
  }

  /// All that a file is at the destination, or may come to be.
  func names(_ target: RemotePath) throws(DestinationError) -> [RemotePath] {
    let file = DeliveryFile.with { $0.remotePath = target.text }
    return try file.names(.with { ($0.checksumSidecar, $0.compression) = (hasSidecars, compression) })
  }

  /// - Parameter named: its name, where it is not below the path.
  mutating func add(
    _ entry: SelectionWalk.Entry, at named: RemotePath? = nil, _ handOn: ([PlannedFile]) async throws -> Void
  ) async throws {
    let (target, names): (RemotePath, [RemotePath])
    do throws(DestinationError) {
      target = if let named { try self.target(named: named) } else { try self.target(entry) }
      names = try self.names(target)
    } catch {
      if problems.count < Planner.maxProblems { problems.append(Self.unsafe(entry.object, error)) }
      return
    }
    for name in names {
      guard let taken = clash.add(name), clashes.count < Planner.maxProblems else { continue }
      clashes.append(Clash(taken: taken, target: name, key: entry.object.key))
    }
    page.append(planned(entry.object, target))
    files += 1
    bytes += entry.object.size
    if page.count == Planner.pageFiles { try await flush(handOn) }
  }

  mutating func flush(_ handOn: ([PlannedFile]) async throws -> Void) async throws {
    guard !page.isEmpty else { return }
    try await handOn(page)
    page.removeAll(keepingCapacity: true)
  }

  private func planned(_ object: ObjectInfo, _ target: RemotePath) -> PlannedFile {
    var file = DeliveryFile()
    file.index = Int32(files)
    file.key = object.key
    file.remotePath = target.text
    file.size = object.size
    file.etag = object.etag
    file.versionID = object.versionID
    file.status = .waiting
    if compression.format != nil { file.compression = compression }
    file.sourceModifiedAt = object.modifiedAt
    return PlannedFile(
      file: file, sourceSHA256: object.checksums.first { $0.algorithm == "SHA256" }?.value ?? "",
      storageClass: object.storageClass)
  }

  private static func unsafe(_ object: ObjectInfo, _ error: DestinationError) -> Problem {
    DeliveryFailure(
      "NAME_UNSAFE",
      "The object \(SelectionWalk.quoted(object.key)) can't have its name at the destination: \(error.message)",
      next: "Rename the object, or deliver it alone under a path of its own.", scope: .delivery, subject: object.key
    ).problem
  }
}
