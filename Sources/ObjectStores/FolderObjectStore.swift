// A directory of this host as a provider: each directory in the root is a bucket, relative paths are keys. Only regular
// files are objects; no key, and no symbolic link, leads outside the root. FolderWalk lists; FolderFiles touches the
// disk.
import FoundationEssentials
import Transport

public struct FolderObjectStore: ObjectStore {
  public static let provider = "folder"

  public let capabilities = ObjectStoreCapabilities(
    grantsURLs: false, keepsVersions: false, hasChecksums: false, hasRegions: false)

  private let root: FolderFiles
  private let environment: ObjectStoreEnvironment

  /// `settings.root` must be absolute; whether it exists is asked at each call. Throws `invalid`.
  public init(
    _ settings: ObjectStoreSettings, environment: ObjectStoreEnvironment = .system
  ) throws(ObjectStoreError) {
    guard settings.root.hasPrefix("/"), !settings.root.utf8.contains(0) else {
      throw FolderFiles.error(
        .invalid, "The folder \(settings.root.debugDescription) is no absolute path.",
        "Give one that begins with a slash.")
    }
    root = FolderFiles(root: settings.root)
    self.environment = environment
  }

  static let make: ObjectStoreProvider.Make = { (settings, _, environment) throws(ObjectStoreError) in
    try FolderObjectStore(settings, environment: environment)
  }

  public func buckets(after page: PageToken?, limit: Int) async throws(ObjectStoreError) -> Page<Bucket> {
    let limit = ObjectStoreLimits.pageSize(limit)
    let top = try root.realRoot()
    let names = try root.entries(of: top).filter { entry in
      // A link to a directory inside the root is a bucket too; one that leads outside, or nowhere, is none.
      entry.kind == .directory || entry.kind == .link && (try? root.realBucket(entry.name)) != nil
    }.map(\.name)
    let ordered = names.filter { name in page.map { $0.text.utf8.lexicographicallyPrecedes(name.utf8) } ?? true }
      .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let items = ordered.prefix(limit).map { Bucket(name: $0) }
    return Page(items: items, next: ordered.count > limit ? items.last.map { PageToken($0.name) } : nil)
  }

  public func objects(
    in bucket: String, prefix: String, delimiter: String?, after page: PageToken?, limit: Int
  ) async throws(ObjectStoreError) -> Page<ObjectEntry> {
    let limit = ObjectStoreLimits.pageSize(limit)
    var walk = FolderWalk(
      files: root, bucket: bucket, prefix: prefix, delimiter: delimiter.flatMap { $0.isEmpty ? nil : $0 },
      after: page?.text, limit: limit)
    return try walk.page()
  }

  public func stat(_ object: ObjectReference) async throws(ObjectStoreError) -> ObjectInfo {
    let file = try root.file(object)
    return Self.info(object, file)
  }

  public func grant(
    _ object: ObjectReference, pinnedTo version: ObjectVersion, lifetime: Duration
  ) async throws(ObjectStoreError) -> ReadGrant {
    let file = try root.file(object)
    guard version.etag.isEmpty || version.etag == file.etag else {
      throw FolderFiles.error(
        .conflict, "The file \(object.key.debugDescription) in \(object.bucket) has changed since it was looked at.",
        "Plan the delivery again.")
    }
    return ReadGrant(
      source: .path(file.path), expiresAt: environment.now().addingTimeInterval(lifetime / .seconds(1)),
      etag: file.etag, size: file.size, modifiedNanoseconds: file.modifiedNanoseconds)
  }

  static func info(_ object: ObjectReference, _ file: FolderFiles.File) -> ObjectInfo {
    ObjectInfo(
      bucket: object.bucket, key: object.key, size: file.size, etag: file.etag,
      modifiedAt: Date(timeIntervalSince1970: Double(file.modifiedNanoseconds) / 1e9))
  }
}
