// Amazon S3 and whatever speaks its API. Lists, asks after objects and signs read grants; the credentials never leave
// here.
import CloudsAWS
import FoundationEssentials
import Transport

public struct S3ObjectStore: ObjectStore {
  public static let provider = "s3"
  /// Shorter ones would end before a slow chunk does; longer ones S3 refuses.
  public static let grantLifetimes: ClosedRange<Duration> = .seconds(1)...(.seconds(SigV4.maxPresignedSeconds))

  public let capabilities = ObjectStoreCapabilities(
    grantsURLs: true, keepsVersions: true, hasChecksums: true, hasRegions: true)

  private let endpoint: S3Endpoint
  private let exchange: S3Exchange

  /// Contacts nobody. Throws `invalid` for settings that can't work.
  public init(
    _ settings: ObjectStoreSettings, http: HTTPClient, environment: ObjectStoreEnvironment = .system
  ) throws(ObjectStoreError) {
    guard let credentials = settings.credentials, !credentials.accessKeyID.isEmpty, !credentials.secretAccessKey.isEmpty
    else {
      throw S3Endpoint.invalid("The connection has no access key.", "Save it with an access key id and its secret.")
    }
    guard credentials.accessKeyID.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ",") }) else {
      throw S3Endpoint.invalid(
        "The access key id has characters that none has.", "Save the connection with the right one.")
    }
    endpoint = try S3Endpoint(settings)
    let region = settings.region.isEmpty ? S3Regions.standard : settings.region
    exchange = S3Exchange(
      http: http, signer: SigV4(credentials: credentials, region: region, service: "s3"), environment: environment,
      retries: ReadRetryPolicy())
  }

  static let make: ObjectStoreProvider.Make = { (settings, http, environment) throws(ObjectStoreError) in
    try S3ObjectStore(settings, http: http, environment: environment)
  }

  /// Pages as S3 does where it does; a server that answers with all at once is cut into pages here, by name.
  public func buckets(after page: PageToken?, limit: Int) async throws(ObjectStoreError) -> Page<Bucket> {
    let limit = ObjectStoreLimits.pageSize(limit)
    var query = [(name: "max-buckets", value: String(limit))]
    var lastName: String?
    if let page {
      if page.text.hasPrefix(Self.namePrefix) {
        lastName = String(page.text.dropFirst(Self.namePrefix.count))
      } else {
        query.append((name: "continuation-token", value: page.text))
      }
    }
    let response = try await exchange.send("GET", endpoint.service, query: query, what: "the list of buckets")
    let (all, next) = try S3Listing.buckets(response)
    let ordered = all.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
      .filter { bucket in lastName.map { $0.utf8.lexicographicallyPrecedes(bucket.name.utf8) } ?? true }
    if next == nil, ordered.count > limit {
      let items = Array(ordered.prefix(limit))
      return Page(items: items, next: items.last.map { PageToken(Self.namePrefix + $0.name) })
    }
    return Page(items: ordered, next: next.map(PageToken.init))
  }

  /// Marks a token of our own; S3's are base64 and never begin so.
  private static let namePrefix = ":after:"

  public func objects(
    in bucket: String, prefix: String, delimiter: String?, after page: PageToken?, limit: Int
  ) async throws(ObjectStoreError) -> Page<ObjectEntry> {
    var query = [
      (name: "list-type", value: "2"), (name: "encoding-type", value: "url"),
      (name: "max-keys", value: String(ObjectStoreLimits.pageSize(limit))),
    ]
    if !prefix.isEmpty { query.append((name: "prefix", value: prefix)) }
    if let delimiter, !delimiter.isEmpty { query.append((name: "delimiter", value: delimiter)) }
    if let page { query.append((name: "continuation-token", value: page.text)) }
    let target = try endpoint.bucket(bucket)
    let response = try await exchange.send("GET", target, query: query, what: "the list of bucket \(bucket)")
    return try S3Listing.objects(response, bucket: bucket)
  }

  public func stat(_ object: ObjectReference) async throws(ObjectStoreError) -> ObjectInfo {
    try await head(object, versionID: nil)
  }

  public func grant(
    _ object: ObjectReference, pinnedTo version: ObjectVersion, lifetime: Duration
  ) async throws(ObjectStoreError) -> ReadGrant {
    guard Self.grantLifetimes.contains(lifetime) else {
      throw S3Endpoint.invalid("S3 grants no read right for \(lifetime).", "Ask for one second to seven days.")
    }
    let target = try endpoint.object(object)
    var versionID = Self.real(version.versionID)
    var etag = EntityTag.quoted(version.etag), size = version.size ?? 0, checksums: [ObjectChecksum] = []
    if etag.isEmpty || version.size == nil {
      let now = try await head(object, versionID: versionID)
      guard etag.isEmpty || etag == now.etag else {
        throw ObjectStoreError(
          .conflict, provider: Self.provider,
          message: "The object \(Self.name(object)) has changed: its ETag was \(etag) and is \(now.etag).",
          nextStep: "Plan the delivery again.")
      }
      (etag, size, checksums) = (now.etag, now.size, now.checksums)
      versionID = versionID ?? Self.real(now.versionID)
    }
    // Signed along, so that the URL reads this version or nothing, and a whole object comes with its checksum.
    let headers = [(name: "If-Match", value: etag), Self.wantsChecksums]
    let seconds = lifetime.components.seconds
    let now = Int64(exchange.environment.now().timeIntervalSince1970.rounded(.down))
    let query = exchange.signer.presignedQuery(
      method: "GET", host: target.host, path: target.path, query: Self.versionQuery(versionID), headers: headers,
      expiresInSeconds: Int(seconds), secondsSince1970: now)
    return ReadGrant(
      source: .url(target.url(query: query)), headers: headers.map { .init(name: $0.name, value: $0.value) },
      expiresAt: Date(timeIntervalSince1970: Double(now + seconds)), etag: etag, size: size, checksums: checksums)
  }

  // MARK: - HEAD

  private func head(_ object: ObjectReference, versionID: String?) async throws(ObjectStoreError) -> ObjectInfo {
    let target = try endpoint.object(object)
    let response = try await exchange.send(
      "HEAD", target, query: Self.versionQuery(versionID), headers: [Self.wantsChecksums],
      what: "the object \(Self.name(object))")
    guard let length = response.headers["content-length"], let size = Int64(length), size >= 0 else {
      throw S3Listing.broken("it has no Content-Length for the object \(Self.name(object))")
    }
    guard let etag = response.headers["etag"], !etag.isEmpty else {
      throw S3Listing.broken("it has no ETag for the object \(Self.name(object))")
    }
    let seconds = response.headers["last-modified"].flatMap(HTTPDate.secondsSince1970)
    return ObjectInfo(
      bucket: object.bucket, key: object.key, size: size, etag: EntityTag.quoted(etag),
      versionID: response.headers["x-amz-version-id"] ?? "",
      modifiedAt: seconds.map { Date(timeIntervalSince1970: Double($0)) },
      storageClass: response.headers["x-amz-storage-class"] ?? "STANDARD",
      contentType: response.headers["content-type"] ?? "", checksums: Self.checksums(response.headers))
  }

  private static let wantsChecksums = (name: "x-amz-checksum-mode", value: "ENABLED")
  private static let algorithms = ["SHA256", "CRC64NVME", "CRC32C", "CRC32", "SHA1"]

  private static func checksums(_ headers: HTTPHeaders) -> [ObjectChecksum] {
    guard headers["x-amz-checksum-type"]?.uppercased() != "COMPOSITE" else { return [] }
    return algorithms.compactMap { algorithm in
      // "…-3" is a checksum of three parts' checksums, from servers that send no type.
      guard let value = headers["x-amz-checksum-\(algorithm.lowercased())"], !value.contains("-") else { return nil }
      return ObjectChecksum(algorithm: algorithm, value: value)
    }
  }

  /// "null" is what an object of before versioning has, and stands for no version of its own.
  private static func real(_ versionID: String) -> String? {
    versionID.isEmpty || versionID == "null" ? nil : versionID
  }

  private static func versionQuery(_ versionID: String?) -> [(name: String, value: String)] {
    versionID.map { [(name: "versionId", value: $0)] } ?? []
  }

  private static func name(_ object: ObjectReference) -> String {
    "\(String(object.key.prefix(255)).debugDescription) in bucket \(object.bucket)"
  }
}
