// The source of a delivery as storage-broker shows it: stat, list and read rights, asked for in the name of the person
// who wants the delivery. One try a call; a missing object is an answer, not an error.
import FerryAPI
import RPC

struct SourceAccess: SourceCatalog {
  /// Time for one call, a provider's own retries included.
  static let timeout = Duration.seconds(30)
  static let pageSize: Int32 = 1000

  /// Token and deadline for the next call.
  typealias MakeOptions = @Sendable () async throws(RPCError) -> CallOptions

  let broker: StorageBroker.Client
  let connection: String
  let bucket: String
  let options: MakeOptions

  func stat(_ key: String) async throws(DeliveryFailure) -> ObjectInfo? {
    do throws(DeliveryFailure) {
      return try await calling { () async throws(RPCError) in
        let request = StatObjectRequest.with { ($0.connection, $0.bucket, $0.key) = (connection, bucket, key) }
        return try await broker.statObject(request, try await options())
      }
    } catch {
      if error.problem.code == "OBJECT_MISSING" { return nil }
      throw error
    }
  }

  func list(
    prefix: String, pageToken: String
  ) async throws(DeliveryFailure) -> (objects: [ObjectInfo], next: String) {
    let page = try await calling { () async throws(RPCError) in
      let request = ListObjectsRequest.with {
        ($0.connection, $0.bucket, $0.prefix) = (connection, bucket, prefix)
        ($0.pageSize, $0.pageToken) = (Self.pageSize, pageToken)
      }
      return try await broker.listObjects(request, try await options())
    }
    return (page.objects, page.nextPageToken)
  }

  /// A file of one chunk costs the provider no question: the answer that brings all its bytes states their checksum. For a
  /// larger one the provider is asked, because only so the grant holds the checksum of the whole.
  func grant(
    _ file: DeliveryFile, chunkSize: Int64 = RequestCheck.defaultChunkSize
  ) async throws(DeliveryFailure) -> ReadGrant {
    try await calling { () async throws(RPCError) in
      let request = GrantReadRequest.with {
        ($0.connection, $0.bucket, $0.key) = (connection, bucket, file.key)
        ($0.etag, $0.versionID) = (file.etag, file.versionID)
        if file.size <= chunkSize { $0.size = file.size }
      }
      return try await broker.grantRead(request, try await options())
    }
  }

  private func calling<Value: Sendable>(
    _ call: () async throws(RPCError) -> Value
  ) async throws(DeliveryFailure) -> Value {
    do { return try await call() } catch { throw DeliveryFailure(error, from: "storage-broker") }
  }
}

/// The same with every call persisted with, for a delivery under way.
struct PersistentCatalog: SourceCatalog {
  let source: SourceAccess
  let persist: Persistence
  let onRetry: @Sendable (DeliveryFailure) async throws -> Void

  func stat(_ key: String) async throws(DeliveryFailure) -> ObjectInfo? {
    try await insisting { try await source.stat(key) }
  }

  func list(
    prefix: String, pageToken: String
  ) async throws(DeliveryFailure) -> (objects: [ObjectInfo], next: String) {
    try await insisting { try await source.list(prefix: prefix, pageToken: pageToken) }
  }

  private func insisting<Value: Sendable>(
    _ call: @escaping @Sendable () async throws -> Value
  ) async throws(DeliveryFailure) -> Value {
    do { return try await persist(onRetry: onRetry, call) } catch let failure as DeliveryFailure {
      throw failure
    } catch {
      // Only cancellation, or a journal that can't be written: the body notices both by itself.
      throw DeliveryFailure(
        "CANCELLED", "The delivery was interrupted.", next: "It goes on by itself.", scope: .delivery)
    }
  }
}
