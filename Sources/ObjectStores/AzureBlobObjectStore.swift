// Azure Blob Storage: containers are buckets, blobs are objects. Lists, asks after blobs and signs read grants; an
// account's key never leaves here.
import CloudsAzure
import FoundationEssentials
import Transport

public struct AzureBlobObjectStore: ObjectStore {
  public static let provider = "azure"
  public static let service = "blob"
  /// As with S3; the service itself sets no bound.
  public static let grantLifetimes: ClosedRange<Duration> = .seconds(1)...(.seconds(7 * 24 * 3600))
  /// How much later than a grant says its SAS ends, for a clock of ours that is behind the service's.
  public static let clockSkew: Duration = .seconds(5 * 60)

  public let capabilities = ObjectStoreCapabilities(
    grantsURLs: true, keepsVersions: true, hasChecksums: true, hasRegions: true)

  private let endpoint: AzureBlobEndpoint
  private let exchange: AzureBlobExchange

  /// Contacts nobody. Throws `invalid` for settings that can't work.
  public init(
    _ settings: ObjectStoreSettings, http: HTTPClient, environment: ObjectStoreEnvironment = .system
  ) throws(ObjectStoreError) {
    guard let credentials = settings.azureCredentials else {
      throw AzureBlobEndpoint.invalid(
        "The connection has no storage account.", "Save it with an account's name and its key or a SAS.")
    }
    endpoint = try AzureBlobEndpoint(settings, account: credentials.account)
    exchange = AzureBlobExchange(
      http: http, credentials: try Self.checked(credentials), environment: environment, retries: ReadRetryPolicy())
  }

  static let make: ObjectStoreProvider.Make = { (settings, http, environment) throws(ObjectStoreError) in
    try AzureBlobObjectStore(settings, http: http, environment: environment)
  }

  public func buckets(after page: PageToken?, limit: Int) async throws(ObjectStoreError) -> Page<Bucket> {
    var query = [(name: "comp", value: "list"), (name: "maxresults", value: String(ObjectStoreLimits.pageSize(limit)))]
    if let page { query.append((name: "marker", value: page.text)) }
    let response = try await exchange.send("GET", endpoint.service, query: query, what: "the list of containers")
    return try AzureBlobListing.containers(response)
  }

  public func objects(
    in bucket: String, prefix: String, delimiter: String?, after page: PageToken?, limit: Int
  ) async throws(ObjectStoreError) -> Page<ObjectEntry> {
    var query = [
      (name: "restype", value: "container"), (name: "comp", value: "list"),
      (name: "maxresults", value: String(ObjectStoreLimits.pageSize(limit))),
    ]
    if !prefix.isEmpty { query.append((name: "prefix", value: prefix)) }
    if let delimiter, !delimiter.isEmpty { query.append((name: "delimiter", value: delimiter)) }
    if let page { query.append((name: "marker", value: page.text)) }
    let target = try endpoint.container(bucket)
    let response = try await exchange.send("GET", target, query: query, what: "the list of container \(bucket)")
    return try AzureBlobListing.blobs(response, container: bucket)
  }

  public func stat(_ object: ObjectReference) async throws(ObjectStoreError) -> ObjectInfo {
    try await head(object, versionID: nil)
  }

  public func grant(
    _ object: ObjectReference, pinnedTo version: ObjectVersion, lifetime: Duration
  ) async throws(ObjectStoreError) -> ReadGrant {
    guard Self.grantLifetimes.contains(lifetime) else {
      throw AzureBlobEndpoint.invalid(
        "No read right is granted for \(lifetime).", "Ask for one second to seven days.")
    }
    let target = try endpoint.blob(object)
    var versionID = version.versionID.isEmpty ? nil : version.versionID
    var etag = version.etag, size = version.size ?? 0
    if etag.isEmpty || version.size == nil {
      let now = try await head(object, versionID: versionID)
      guard etag.isEmpty || etag == now.etag else {
        throw ObjectStoreError(
          .conflict, provider: Self.provider, service: Self.service,
          message: "The blob \(Self.name(object)) has changed: its ETag was \(etag) and is \(now.etag).",
          nextStep: "Plan the delivery again.")
      }
      (etag, size) = (now.etag, now.size)
      versionID = versionID ?? (now.versionID.isEmpty ? nil : now.versionID)
    }
    let (query, end) = try authorisation(object, versionID: versionID, lifetime: lifetime)
    let pinned = AzureURIEncoding.query(Self.versionQuery(versionID))
    return ReadGrant(
      source: .url(target.url(query: pinned.isEmpty ? query : "\(pinned)&\(query)")),
      // No SAS covers it; it is the reader who must send it, and compare the answer's ETag.
      headers: [.init(name: "If-Match", value: etag)], expiresAt: Date(timeIntervalSince1970: Double(end)), etag: etag,
      size: size)
  }

  /// The query that opens the blob, and until when: a SAS made for it, or the connection's own where that is all there
  /// is.
  private func authorisation(
    _ object: ObjectReference, versionID: String?, lifetime: Duration
  ) throws(ObjectStoreError) -> (query: String, endSecondsSince1970: Int64) {
    let now = exchange.now
    let end = now + lifetime.components.seconds
    switch exchange.credentials {
    case .sharedKey(let key):
      let token = key.readToken(
        container: object.bucket, blob: object.key, versionID: versionID,
        expiresAtSecondsSince1970: end + Self.clockSkew.components.seconds, httpsOnly: endpoint.isSecure)
      return (AzureURIEncoding.query(token), end)
    case .token(let token):
      guard let ownEnd = token.expiresAtSecondsSince1970 else { return (token.query, end) }
      guard ownEnd > now else {
        throw ObjectStoreError(
          .denied, provider: Self.provider, service: Self.service,
          message: "The connection's SAS ended at \(AzureTimestamp.text(secondsSince1970: ownEnd)).",
          nextStep: "Save the connection again with a new one.")
      }
      return (token.query, min(end, ownEnd))
    }
  }

  // MARK: - HEAD

  private func head(_ object: ObjectReference, versionID: String?) async throws(ObjectStoreError) -> ObjectInfo {
    let target = try endpoint.blob(object)
    let response = try await exchange.send(
      "HEAD", target, query: Self.versionQuery(versionID), what: "the blob \(Self.name(object))")
    let headers = response.headers
    guard let length = headers["content-length"], let size = Int64(length), size >= 0 else {
      throw AzureBlobListing.broken("it has no Content-Length for the blob \(Self.name(object))")
    }
    guard let etag = headers["etag"], !etag.isEmpty else {
      throw AzureBlobListing.broken("it has no ETag for the blob \(Self.name(object))")
    }
    guard headers["x-ms-resource-type"] != "directory" else {
      throw ObjectStoreError(
        .missing, provider: Self.provider, service: Self.service, requestID: headers["x-ms-request-id"] ?? "",
        message: "\(Self.name(object)) is a directory.", nextStep: "Name a blob in it.")
    }
    let seconds = headers["last-modified"].flatMap(HTTPDate.secondsSince1970)
    // Of all bytes, by the service where they came in one piece, else as the writer stated it.
    let md5 = headers["content-md5"].flatMap { $0.isEmpty ? nil : ObjectChecksum(algorithm: "MD5", value: $0) }
    return ObjectInfo(
      bucket: object.bucket, key: object.key, size: size, etag: etag, versionID: headers["x-ms-version-id"] ?? "",
      modifiedAt: seconds.map { Date(timeIntervalSince1970: Double($0)) },
      storageClass: headers["x-ms-access-tier"] ?? "", contentType: headers["content-type"] ?? "",
      checksums: md5.map { [$0] } ?? [])
  }

  private static func versionQuery(_ versionID: String?) -> [(name: String, value: String)] {
    versionID.map { [(name: "versionid", value: $0)] } ?? []
  }

  private static func name(_ object: ObjectReference) -> String {
    "\(String(object.key.prefix(255)).debugDescription) in container \(object.bucket)"
  }

  // MARK: - Credentials

  private static func checked(_ credentials: AzureCredentials) throws(ObjectStoreError) -> AzureBlobCredentials {
    switch credentials.secret {
    case .accountKey(let text):
      guard let key = AzureSharedKey(account: credentials.account, base64Key: text) else {
        throw AzureBlobEndpoint.invalid(
          "The account key is no base64.", "Copy it again from the account's access keys, up to its last \"=\".")
      }
      return .sharedKey(key)
    case .sharedAccessSignature(let text):
      do throws(AzureSASToken.Problem) { return .token(try AzureSASToken(text)) } catch {
        let (why, nextStep) = Self.told(error)
        throw AzureBlobEndpoint.invalid("The SAS can't be used: \(why).", nextStep)
      }
    }
  }

  private static func told(_ problem: AzureSASToken.Problem) -> (String, String) {
    let copy = "Copy the whole query of the SAS URL, from \"sv=\" to the end of its signature."
    return switch problem {
    case .notAQuery: ("it is not the query of a URL", copy)
    case .incomplete: ("it has no signature or no end", copy)
    case .noTime: ("its end (se) is no time", copy)
    case .foreignParameter(let name):
      ("it holds \"\(name.prefix(32))\"", "Leave out what belongs to a request and not to the SAS.")
    }
  }
}
