// What FileFerry asks of a storage provider: four calls. A new provider is one file that conforms to this and one line
// in ObjectStoreRegistry. Bytes are not read through here: `grant` says where the transfer service reads them itself.
import FoundationEssentials

public protocol ObjectStore: Sendable {
  var capabilities: ObjectStoreCapabilities { get }

  /// Those that the credentials may list, by name. `limit` is a wish: 1 to `ObjectStoreLimits.maxPageSize`.
  func buckets(after page: PageToken?, limit: Int) async throws(ObjectStoreError) -> Page<Bucket>

  /// Keys with `prefix`, in the order of their UTF-8 bytes. With a `delimiter`, keys that have it after the prefix are
  /// folded into one `.commonPrefix`. A token is only good for the same bucket, prefix and delimiter.
  func objects(
    in bucket: String, prefix: String, delimiter: String?, after page: PageToken?, limit: Int
  ) async throws(ObjectStoreError) -> Page<ObjectEntry>

  /// Throws `missing` where there is no such object.
  func stat(_ object: ObjectReference) async throws(ObjectStoreError) -> ObjectInfo

  /// A right to read one version of one object for `lifetime`, to be renewed by asking again. Throws `conflict` where
  /// it is known already that the object has changed. With ETag and size in `version` this may cost no round trip.
  func grant(
    _ object: ObjectReference, pinnedTo version: ObjectVersion, lifetime: Duration
  ) async throws(ObjectStoreError) -> ReadGrant
}

public enum ObjectStoreLimits {
  /// S3's own bound on a list page.
  public static let maxPageSize = 1000
  /// S3's own bound on a key, in bytes of UTF-8.
  public static let maxKeyBytes = 1024

  static func pageSize(_ wanted: Int) -> Int { wanted < 1 ? maxPageSize : min(wanted, maxPageSize) }
}

/// What only some providers can do: asked, never guessed by type.
public struct ObjectStoreCapabilities: Sendable, Equatable {
  /// Grants are URLs that any host can read; else paths on this host.
  public var grantsURLs: Bool
  /// Overwritten objects may still be read by version id.
  public var keepsVersions: Bool
  /// The provider may state checksums of its own.
  public var hasChecksums: Bool
  public var hasRegions: Bool

  public init(grantsURLs: Bool, keepsVersions: Bool, hasChecksums: Bool, hasRegions: Bool) {
    self.grantsURLs = grantsURLs
    self.keepsVersions = keepsVersions
    self.hasChecksums = hasChecksums
    self.hasRegions = hasRegions
  }
}

/// Where a list goes on. Opaque: made by a store, handed back to the same one.
public struct PageToken: Sendable, Equatable {
  public let text: String
  public init(_ text: String) { self.text = text }
}

public struct Page<Item: Sendable>: Sendable {
  public var items: [Item]
  /// nil on the last page.
  public var next: PageToken?

  public init(items: [Item], next: PageToken?) {
    self.items = items
    self.next = next
  }
}

public struct Bucket: Sendable, Equatable {
  public var name: String
  public var createdAt: Date?
  /// Empty where unknown.
  public var region: String

  public init(name: String, createdAt: Date? = nil, region: String = "") {
    self.name = name
    self.createdAt = createdAt
    self.region = region
  }
}

public enum ObjectEntry: Sendable, Equatable {
  /// As the list tells it: no version, content type or checksums.
  case object(ObjectInfo)
  /// A "folder", ending in the delimiter.
  case commonPrefix(String)
}

public struct ObjectReference: Sendable, Equatable {
  public var bucket: String
  public var key: String

  public init(bucket: String, key: String) {
    self.bucket = bucket
    self.key = key
  }
}

/// What is known of the version to read; empty fields are filled in from the object as it is now.
public struct ObjectVersion: Sendable, Equatable {
  /// With its quotes, as the provider gave it.
  public var etag: String
  /// Empty or "null" where the bucket keeps no versions.
  public var versionID: String
  public var size: Int64?

  public init(etag: String = "", versionID: String = "", size: Int64? = nil) {
    self.etag = etag
    self.versionID = versionID
    self.size = size
  }
}

public struct ObjectInfo: Sendable, Equatable {
  public var bucket: String
  public var key: String
  public var size: Int64  // bytes
  public var etag: String  // with its quotes
  public var versionID: String
  public var modifiedAt: Date?
  public var storageClass: String
  public var contentType: String
  public var checksums: [ObjectChecksum]

  public init(
    bucket: String, key: String, size: Int64, etag: String, versionID: String = "", modifiedAt: Date? = nil,
    storageClass: String = "", contentType: String = "", checksums: [ObjectChecksum] = []
  ) {
    self.bucket = bucket
    self.key = key
    self.size = size
    self.etag = etag
    self.versionID = versionID
    self.modifiedAt = modifiedAt
    self.storageClass = storageClass
    self.contentType = contentType
    self.checksums = checksums
  }

  public var version: ObjectVersion { ObjectVersion(etag: etag, versionID: versionID, size: size) }
}

/// A checksum of the whole object's bytes; checksums of checksums (S3's COMPOSITE type) prove nothing here and are left
/// out.
public struct ObjectChecksum: Sendable, Equatable {
  /// "SHA256", "SHA1", "CRC64NVME", "CRC32C", "CRC32", "MD5".
  public var algorithm: String
  /// Base64.
  public var value: String

  public init(algorithm: String, value: String) {
    self.algorithm = algorithm
    self.value = value
  }
}

public struct ReadGrant: Sendable, Equatable {
  public enum Source: Sendable, Equatable {
    /// For GET, with a Range header or without.
    case url(String)
    /// Absolute, links resolved; open it without following a link.
    case path(String)
  }

  public var source: Source
  /// To be sent along, exactly as they are: the URL's signature covers them.
  public var headers: [HeaderField]
  public var expiresAt: Date
  /// What each answer must still carry.
  public var etag: String
  public var size: Int64  // bytes
  /// Of a local file, nanoseconds since 1970; 0 for URLs.
  public var modifiedNanoseconds: Int64
  /// Of that version, where the provider was asked for it and states some.
  public var checksums: [ObjectChecksum]

  public struct HeaderField: Sendable, Equatable {
    public var name: String
    public var value: String
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  public init(
    source: Source, headers: [HeaderField] = [], expiresAt: Date, etag: String, size: Int64,
    modifiedNanoseconds: Int64 = 0, checksums: [ObjectChecksum] = []
  ) {
    self.source = source
    self.headers = headers
    self.expiresAt = expiresAt
    self.etag = etag
    self.size = size
    self.modifiedNanoseconds = modifiedNanoseconds
    self.checksums = checksums
  }
}

extension ReadGrant: CustomStringConvertible, CustomReflectable {
  /// Without the URL's query: whoever has the signature can read the object.
  public var description: String {
    let place = switch source {
    case .url(let url): String(url.prefix { $0 != "?" })
    case .path(let path): path
    }
    return "read grant for \(place), \(size) bytes, ETag \(etag)"
  }
  public var customMirror: Mirror { Mirror(self, children: ["grant": description]) }
}
