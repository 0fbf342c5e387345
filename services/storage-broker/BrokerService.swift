// The calls of fileferry.v1.StorageBroker: each finds its connection's store, asks it, and maps what it says.
import FerryAPI
import FoundationEssentials
import ObjectStores
import RPC
import ServiceKit

struct BrokerService: Sendable {
  /// How long a read right lasts; the transfer service renews it shortly before.
  static let grantLifetime = Duration.seconds(15 * 60)
  static let maxPageSize = ObjectStoreLimits.maxPageSize

  let connections: ConnectionStore
  let stores: OpenStores

  func router() -> Router {
    var router = Router()
    router.handle(StorageBroker.listProviders) { _, _ throws(RPCError) in listProviders() }
    router.handle(StorageBroker.saveConnection) { request, _ throws(RPCError) in try await saveConnection(request) }
    router.handle(StorageBroker.listConnections) { _, _ throws(RPCError) in
      let all = try await connections.all()
      return ListConnectionsResponse.with { $0.connections = all }
    }
    router.handle(StorageBroker.deleteConnection) { request, _ throws(RPCError) in try await deleteConnection(request) }
    router.handle(StorageBroker.listBuckets) { request, _ throws(RPCError) in try await listBuckets(request) }
    router.handle(StorageBroker.listObjects) { request, _ throws(RPCError) in try await listObjects(request) }
    router.handle(StorageBroker.statObject) { request, _ throws(RPCError) in try await statObject(request) }
    router.handle(StorageBroker.grantRead) { request, _ throws(RPCError) in try await grantRead(request) }
    return router
  }

  // MARK: Providers and connections

  private func listProviders() -> ListProvidersResponse {
    ListProvidersResponse.with { response in
      response.providers = ObjectStoreRegistry.providers.map { known in
        Provider.with {
          $0.id = known.id
          $0.displayName = known.displayName
          $0.hasRegions = !known.regions.isEmpty
          $0.regions = known.regions
        }
      }
    }
  }

  private func saveConnection(_ request: SaveConnectionRequest) async throws(RPCError) -> Connection {
    guard let given = request.connection else {
      throw BrokerProblems.invalid("The request holds no connection.", "Give its name, provider and settings.")
    }
    var connection = try ConnectionCheck.checked(given)
    let secrets = [
      request.secretAccessKey, request.sessionToken, request.accountKey, request.sharedAccessSignature,
    ]
    guard secrets.allSatisfy({ $0.utf8.count <= ConnectionCheck.maxSecretBytes }) else {
      throw BrokerProblems.invalid(
        "A secret or token is over \(ConnectionCheck.maxSecretBytes) bytes.", "Give the one you were issued.")
    }
    connection.updatedAt = Timestamp(date: Date())
    var saved = SavedConnection(connection: connection, secretsOf: request)
    let givesSecret = !(
      request.secretAccessKey.isEmpty && request.accountKey.isEmpty && request.sharedAccessSignature.isEmpty)
    if !givesSecret, let before = try await connections.load(connection.name)?.saved {
      // A stored secret stays with its key or account, and goes to no other place than the one it was saved for.
      let samePlace =
        before.connection.s3?.endpoint == connection.s3?.endpoint && before.connection.provider == connection.provider
        && before.connection.azureBlob == connection.azureBlob
      if samePlace, before.connection.accessKeyID == connection.accessKeyID {
        saved.secretAccessKey = before.secretAccessKey
        if request.sessionToken.isEmpty { saved.sessionToken = before.sessionToken }
        (saved.accountKey, saved.sharedAccessSignature) = (before.accountKey, before.sharedAccessSignature)
      }
    }
    if connection.provider == S3ObjectStore.provider, saved.secretAccessKey.isEmpty {
      throw BrokerProblems.invalid(
        "The connection has no secret access key for this access key id and endpoint.",
        "Give the secret: one that is stored is kept only while the access key id and the endpoint stay the same.")
    }
    if connection.provider == AzureBlobObjectStore.provider,
      saved.accountKey.isEmpty == saved.sharedAccessSignature.isEmpty
    {
      let both = !saved.accountKey.isEmpty
      throw BrokerProblems.invalid(
        "The connection has \(both ? "both an account key and a SAS" : "neither an account key nor a SAS").",
        "Give one of them: one that is stored is kept only while the account and the endpoint stay the same.")
    }
    do throws(ObjectStoreError) {
      _ = try ObjectStoreRegistry.store(ObjectStoreSettings(saved), http: stores.http)
    } catch {
      throw BrokerProblems.error(error, subject: "connection \(connection.name)")
    }
    try await connections.save(saved)
    await stores.drop(connection.name)
    return connection
  }

  private func deleteConnection(_ request: DeleteConnectionRequest) async throws(RPCError) -> DeleteConnectionResponse {
    guard !request.name.isEmpty, try await connections.load(request.name) != nil else {
      throw BrokerProblems.unknownConnection(request.name)
    }
    try await connections.delete(request.name)
    await stores.drop(request.name)
    return DeleteConnectionResponse()
  }

  // MARK: Buckets and objects

  private func listBuckets(_ request: ListBucketsRequest) async throws(RPCError) -> ListBucketsResponse {
    let store = try await stores.store(request.connection)
    let size = try pageSize(request.pageSize)
    let after = pageToken(request.pageToken)
    let page = try await asking("buckets") { () throws(ObjectStoreError) in
      try await store.buckets(after: after, limit: size)
    }
    return ListBucketsResponse.with {
      $0.buckets = page.items.map(FerryAPI.Bucket.init)
      $0.nextPageToken = page.next?.text ?? ""
    }
  }

  private func listObjects(_ request: ListObjectsRequest) async throws(RPCError) -> ListObjectsResponse {
    try named(bucket: request.bucket)
    let store = try await stores.store(request.connection)
    let size = try pageSize(request.pageSize)
    let after = pageToken(request.pageToken)
    let page = try await asking("bucket \(request.bucket)", bucketOnly: true) { () throws(ObjectStoreError) in
      try await store.objects(
        in: request.bucket, prefix: request.prefix, delimiter: request.delimiter.isEmpty ? nil : request.delimiter,
        after: after, limit: size)
    }
    var response = ListObjectsResponse()
    for entry in page.items {
      switch entry {
      case .object(let info): response.objects.append(FerryAPI.ObjectInfo(info))
      case .commonPrefix(let prefix): response.commonPrefixes.append(prefix)
      }
    }
    response.nextPageToken = page.next?.text ?? ""
    return response
  }

  private func statObject(_ request: StatObjectRequest) async throws(RPCError) -> FerryAPI.ObjectInfo {
    let store = try await stores.store(request.connection)
    return FerryAPI.ObjectInfo(try await stat(request.bucket, request.key, store))
  }

  private func stat(
    _ bucket: String, _ key: String, _ store: any ObjectStore
  ) async throws(RPCError) -> ObjectStores.ObjectInfo {
    try named(bucket: bucket)
    guard !key.isEmpty else {
      throw BrokerProblems.invalid("The request names no object.", "Give the object's key.")
    }
    do throws(RPCError) {
      return try await asking("\(bucket)/\(key)") { () throws(ObjectStoreError) in
        try await store.stat(ObjectReference(bucket: bucket, key: key))
      }
    } catch {
      // A HEAD that finds nothing has no body, so it doesn't say whether the bucket is what is missing: a list does.
      if error.code == .notFound {
        _ = try await asking("bucket \(bucket)", bucketOnly: true) { () throws(ObjectStoreError) in
          try await store.objects(in: bucket, prefix: key, delimiter: nil, after: nil, limit: 1)
        }
      }
      throw error
    }
  }

  private func grantRead(_ request: GrantReadRequest) async throws(RPCError) -> FerryAPI.ReadGrant {
    let store = try await stores.store(request.connection)
    if !request.etag.isEmpty, request.size > 0 {
      // The read itself carries the version as its condition, so nothing need be asked before it.
      return try await grant(
        request, ObjectVersion(etag: request.etag, versionID: request.versionID, size: request.size), store)
    }
    let now = try await stat(request.bucket, request.key, store)
    // Where the bucket keeps versions, the one asked for can be read even after a newer one came.
    let pinsVersion = store.capabilities.keepsVersions && !request.versionID.isEmpty && request.versionID != "null"
    guard request.etag.isEmpty || request.etag == now.etag || pinsVersion else {
      throw changed(request, now)
    }
    let isCurrent = request.etag.isEmpty || request.etag == now.etag
    let version = ObjectVersion(
      etag: request.etag.isEmpty ? now.etag : request.etag,
      versionID: request.versionID.isEmpty && isCurrent ? now.versionID : request.versionID,
      size: isCurrent ? now.size : nil)
    var grant = try await grant(request, version, store)
    // Where all was known already, the store asked for nothing of its own.
    if isCurrent, grant.checksums.isEmpty { grant.checksums = now.checksums.map(Checksum.init) }
    return grant
  }

  private func grant(
    _ request: GrantReadRequest, _ version: ObjectVersion, _ store: any ObjectStore
  ) async throws(RPCError) -> FerryAPI.ReadGrant {
    let grant = try await asking("\(request.bucket)/\(request.key)") { () throws(ObjectStoreError) in
      try await store.grant(
        ObjectReference(bucket: request.bucket, key: request.key), pinnedTo: version, lifetime: Self.grantLifetime)
    }
    return FerryAPI.ReadGrant(grant)
  }

  private func changed(_ request: GrantReadRequest, _ now: ObjectStores.ObjectInfo) -> RPCError {
    var problem = Problem()
    problem.code = "SOURCE_CHANGED"
    problem.message =
      "The object \(String(request.key.prefix(255))) in \(request.bucket) has changed: its ETag was \(request.etag) "
      + "and is \(now.etag)."
    problem.nextStep = "Start a new delivery, which takes the object as it is now."
    problem.subject = "\(request.bucket)/\(request.key)"
    return RPCError(.failedPrecondition, problem)
  }

  // MARK: What all of them share

  private func asking<Value: Sendable>(
    _ subject: String, bucketOnly: Bool = false, _ call: () async throws(ObjectStoreError) -> Value
  ) async throws(RPCError) -> Value {
    do throws(ObjectStoreError) { return try await call() } catch {
      throw BrokerProblems.error(error, subject: subject, bucketOnly: bucketOnly)
    }
  }

  private func named(bucket: String) throws(RPCError) {
    if bucket.isEmpty { throw BrokerProblems.invalid("The request names no bucket.", "Give the bucket's name.") }
  }

  /// 0 is the most; anything over the most is cut, as the field's APIs do (AIP-158).
  private func pageSize(_ wanted: Int32) throws(RPCError) -> Int {
    if wanted < 0 {
      throw BrokerProblems.invalid("The page size \(wanted) is negative.", "Give 1 to \(Self.maxPageSize).")
    }
    return wanted == 0 ? Self.maxPageSize : min(Int(wanted), Self.maxPageSize)
  }

  private func pageToken(_ text: String) -> ObjectStores.PageToken? {
    text.isEmpty ? nil : ObjectStores.PageToken(text)
  }
}
