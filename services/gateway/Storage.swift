// Connections to object storage, and what is in them.
import FerryAPI
import Hummingbird

enum Storage {
  static let routes: [Route] = [
    .get(
      "connections", "listConnections", "Lists the connections to object storage, without their secrets.",
      returns: .message(ListConnectionsResponse.self), list),
    .get(
      "connections/{name}", "getConnection", "Shows one connection, without its secrets.",
      returns: .message(Connection.self), get),
    .put(
      "connections/{name}", "saveConnection", "Adds or changes a connection; the name in the path counts.",
      takes: SaveConnectionRequest.self, returns: .message(Connection.self), save),
    .delete("connections/{name}", "deleteConnection", "Removes a connection.", delete),
    .get(
      "connections/{name}/buckets", "listBuckets", "Lists the buckets or containers that a connection reaches.",
      RouteParameter.page, returns: .message(ListBucketsResponse.self), buckets),
    .get(
      "connections/{name}/buckets/{bucket}/objects", "listObjects", "Lists a bucket's objects and folders.",
      [
        RouteParameter(name: "prefix", summary: "What the keys begin with."),
        RouteParameter(name: "delimiter", summary: "What ends a folder's name in a key: /; empty for all keys."),
      ] + RouteParameter.page, returns: .message(ListObjectsResponse.self), objects),
    .get(
      "providers", "listProviders", "Lists the kinds of object storage that there are.",
      returns: .message(ListProvidersResponse.self), providers),
  ]

  @Sendable static func providers(_ call: RestCall) async throws -> Response {
    call.json(
      try await call.backends.storageBroker.unary(StorageBroker.listProviders, ListProvidersRequest(), call.onward()))
  }

  @Sendable static func list(_ call: RestCall) async throws -> Response { call.json(try await connections(call)) }

  @Sendable static func get(_ call: RestCall) async throws -> Response {
    call.json(try call.named("connection", in: try await connections(call).connections, by: \.name))
  }

  private static func connections(_ call: RestCall) async throws -> ListConnectionsResponse {
    try await call.backends.storageBroker.unary(StorageBroker.listConnections, ListConnectionsRequest(), call.onward())
  }

  /// The body is a SaveConnectionRequest; the name in the path counts.
  @Sendable static func save(_ call: RestCall) async throws -> Response {
    var request: SaveConnectionRequest = try await call.body()
    var connection = request.connection ?? Connection()
    connection.name = try call.path("name")
    request.connection = connection
    return call.json(
      try await call.backends.storageBroker.unary(StorageBroker.saveConnection, request, call.onward(Patience.outward)))
  }

  @Sendable static func delete(_ call: RestCall) async throws -> Response {
    let name = try call.path("name")
    _ = try await call.backends.storageBroker.unary(
      StorageBroker.deleteConnection, .with { $0.name = name }, call.onward())
    return RestCall.empty
  }

  @Sendable static func buckets(_ call: RestCall) async throws -> Response {
    var request = ListBucketsRequest()
    request.connection = try call.path("name")
    request.pageSize = try call.pageSize()
    request.pageToken = call.query("pageToken")
    return call.json(
      try await call.backends.storageBroker.unary(StorageBroker.listBuckets, request, call.onward(Patience.outward)))
  }

  @Sendable static func objects(_ call: RestCall) async throws -> Response {
    var request = ListObjectsRequest()
    request.connection = try call.path("name")
    request.bucket = try call.path("bucket")
    request.prefix = call.query("prefix")
    request.delimiter = call.query("delimiter")
    request.pageSize = try call.pageSize()
    request.pageToken = call.query("pageToken")
    return call.json(
      try await call.backends.storageBroker.unary(StorageBroker.listObjects, request, call.onward(Patience.outward)))
  }
}
