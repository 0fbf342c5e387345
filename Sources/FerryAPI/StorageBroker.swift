// storage_broker.proto, first part: the service, its providers and its connections to object storage. Cloud keys live
// in that service alone; bytes never pass through it.
import ProtoWire
import RPC

public enum StorageBroker {
  static let name = "fileferry.v1.StorageBroker"

  public static let listProviders = UnaryMethod<ListProvidersRequest, ListProvidersResponse>(name, "ListProviders")
  public static let saveConnection = UnaryMethod<SaveConnectionRequest, Connection>(name, "SaveConnection")
  public static let listConnections = UnaryMethod<ListConnectionsRequest, ListConnectionsResponse>(
    name, "ListConnections")
  public static let deleteConnection = UnaryMethod<DeleteConnectionRequest, DeleteConnectionResponse>(
    name, "DeleteConnection")
  public static let listBuckets = UnaryMethod<ListBucketsRequest, ListBucketsResponse>(name, "ListBuckets")
  public static let listObjects = UnaryMethod<ListObjectsRequest, ListObjectsResponse>(name, "ListObjects")
  public static let statObject = UnaryMethod<StatObjectRequest, ObjectInfo>(name, "StatObject")
  /// A short-lived right to read one version of one object, by ranged GET or from a local path.
  public static let grantRead = UnaryMethod<GrantReadRequest, ReadGrant>(name, "GrantRead")

  public static let service = ServiceDescriptor(
    name,
    [
      listProviders.descriptor, saveConnection.descriptor, listConnections.descriptor, deleteConnection.descriptor,
      listBuckets.descriptor, listObjects.descriptor, statObject.descriptor, grantRead.descriptor,
    ])
}

public struct Provider: Message {
  /// "s3", "azure", "folder"
  public var id = ""
  /// "Amazon S3"
  public var displayName = ""
  public var hasRegions = false
  public var regions: [String] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Provider",
    [
      .init(1, "id", .string), .init(2, "display_name", .string), .init(3, "has_regions", .bool),
      .init(4, "regions", .string, .repeated),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: id = try reader.string()
    case 2: displayName = try reader.string()
    case 3: hasRegions = try reader.bool()
    case 4: regions.append(try reader.string())
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, id)
    writer.string(2, displayName)
    writer.bool(3, hasRegions)
    writer.strings(4, regions)
  }
}

public struct ListProvidersRequest: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.ListProvidersRequest", [])
}

public struct ListProvidersResponse: Message {
  public var providers: [Provider] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListProvidersResponse", [.init(1, "providers", .message(Provider.self), .repeated)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &providers)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.messages(1, providers) }
}

public struct AddressingStyle: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Virtual-hosted on AWS itself, path on a custom endpoint.
  public static let unspecified = AddressingStyle(rawValue: 0)
  public static let path = AddressingStyle(rawValue: 1)
  public static let virtualHosted = AddressingStyle(rawValue: 2)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.AddressingStyle",
    [
      ("ADDRESSING_STYLE_UNSPECIFIED", 0), ("ADDRESSING_STYLE_PATH", 1), ("ADDRESSING_STYLE_VIRTUAL_HOSTED", 2),
    ])
}

public struct S3Settings: Message {
  /// "https://s3.example.com:9000"; empty for AWS itself.
  public var endpoint = ""
  /// "eu-central-1"; empty for us-east-1.
  public var region = ""
  public var addressingStyle = AddressingStyle.unspecified
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.S3Settings",
    [
      .init(1, "endpoint", .string), .init(2, "region", .string),
      .init(3, "addressing_style", .enumeration(AddressingStyle.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: endpoint = try reader.string()
    case 2: region = try reader.string()
    case 3: addressingStyle = try reader.enumeration()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, endpoint)
    writer.string(2, region)
    writer.enumeration(3, addressingStyle)
  }
}

public struct FolderSettings: Message {
  /// Absolute; each directory in it is a bucket.
  public var root = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor("fileferry.v1.FolderSettings", [.init(1, "root", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: root = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, root) }
}

public struct AzureBlobSettings: Message {
  /// The storage account; its containers are buckets.
  public var account = ""
  /// "http://127.0.0.1:10000/ACCOUNT"; empty for https://ACCOUNT.blob.core.windows.net.
  public var endpoint = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.AzureBlobSettings", [.init(1, "account", .string), .init(2, "endpoint", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: account = try reader.string()
    case 2: endpoint = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, account)
    writer.string(2, endpoint)
  }
}

public struct Connection: Message {
  /// Unique; "default" is used where a request names none.
  public var name = ""
  /// A Provider's id.
  public var provider = ""
  public var s3: S3Settings?
  public var folder: FolderSettings?
  /// Shown; its secret never is.
  public var accessKeyID = ""
  public var updatedAt: Timestamp?
  public var azureBlob: AzureBlobSettings?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Connection",
    [
      .init(1, "name", .string), .init(2, "provider", .string), .init(3, "s3", .message(S3Settings.self)),
      .init(4, "folder", .message(FolderSettings.self)), .init(5, "access_key_id", .string),
      .init(6, "updated_at", .message(Timestamp.self)), .init(7, "azure_blob", .message(AzureBlobSettings.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    case 2: provider = try reader.string()
    case 3: try reader.message(into: &s3)
    case 4: try reader.message(into: &folder)
    case 5: accessKeyID = try reader.string()
    case 6: try reader.message(into: &updatedAt)
    case 7: try reader.message(into: &azureBlob)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, name)
    writer.string(2, provider)
    writer.message(3, s3)
    writer.message(4, folder)
    writer.string(5, accessKeyID)
    writer.message(6, updatedAt)
    writer.message(7, azureBlob)
  }
}

public struct SaveConnectionRequest: Message {
  public var connection: Connection?
  /// Empty keeps the one already stored.
  public var secretAccessKey = ""
  public var sessionToken = ""
  /// Of "azure", base64; empty keeps what is already stored.
  public var accountKey = ""
  /// Of "azure", in place of an account key: "sv=…&sig=…".
  public var sharedAccessSignature = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.SaveConnectionRequest",
    [
      .init(1, "connection", .message(Connection.self)), .init(2, "secret_access_key", .string),
      .init(3, "session_token", .string), .init(4, "account_key", .string),
      .init(5, "shared_access_signature", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &connection)
    case 2: secretAccessKey = try reader.string()
    case 3: sessionToken = try reader.string()
    case 4: accountKey = try reader.string()
    case 5: sharedAccessSignature = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.message(1, connection)
    writer.string(2, secretAccessKey)
    writer.string(3, sessionToken)
    writer.string(4, accountKey)
    writer.string(5, sharedAccessSignature)
  }
}

public struct ListConnectionsRequest: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.ListConnectionsRequest", [])
}

public struct ListConnectionsResponse: Message {
  public var connections: [Connection] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListConnectionsResponse", [.init(1, "connections", .message(Connection.self), .repeated)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &connections)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.messages(1, connections) }
}

public struct DeleteConnectionRequest: Message {
  public var name = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor("fileferry.v1.DeleteConnectionRequest", [.init(1, "name", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, name) }
}

public struct DeleteConnectionResponse: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.DeleteConnectionResponse", [])
}

extension FerryFiles {
  public static let storageBroker = FileDescriptor(
    "fileferry/v1/storage_broker.proto", package: package, dependencies: [WellKnownFiles.timestamp],
    messages: [
      Provider.descriptor, ListProvidersRequest.descriptor, ListProvidersResponse.descriptor, S3Settings.descriptor,
      FolderSettings.descriptor, AzureBlobSettings.descriptor, Connection.descriptor, SaveConnectionRequest.descriptor,
      ListConnectionsRequest.descriptor, ListConnectionsResponse.descriptor, DeleteConnectionRequest.descriptor,
      DeleteConnectionResponse.descriptor, Bucket.descriptor, ListBucketsRequest.descriptor,
      ListBucketsResponse.descriptor, ObjectInfo.descriptor, Checksum.descriptor, ListObjectsRequest.descriptor,
      ListObjectsResponse.descriptor, StatObjectRequest.descriptor, GrantReadRequest.descriptor,
      HeaderField.descriptor, ReadGrant.descriptor,
    ],
    enums: [AddressingStyle.descriptor], services: [StorageBroker.service])
}

extension StorageBroker {
  public struct Client: Sendable {
    public let channel: ClientChannel
    public init(_ channel: ClientChannel) { self.channel = channel }

    public func listProviders(
      _ request: ListProvidersRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListProvidersResponse {
      try await channel.unary(StorageBroker.listProviders, request, options)
    }
    public func saveConnection(
      _ request: SaveConnectionRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Connection {
      try await channel.unary(StorageBroker.saveConnection, request, options)
    }
    public func listConnections(
      _ request: ListConnectionsRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListConnectionsResponse {
      try await channel.unary(StorageBroker.listConnections, request, options)
    }
    public func deleteConnection(
      _ request: DeleteConnectionRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> DeleteConnectionResponse {
      try await channel.unary(StorageBroker.deleteConnection, request, options)
    }
    public func listBuckets(
      _ request: ListBucketsRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListBucketsResponse {
      try await channel.unary(StorageBroker.listBuckets, request, options)
    }
    public func listObjects(
      _ request: ListObjectsRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListObjectsResponse {
      try await channel.unary(StorageBroker.listObjects, request, options)
    }
    public func statObject(
      _ request: StatObjectRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ObjectInfo {
      try await channel.unary(StorageBroker.statObject, request, options)
    }
    public func grantRead(
      _ request: GrantReadRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ReadGrant {
      try await channel.unary(StorageBroker.grantRead, request, options)
    }
  }
}
