// storage_broker.proto, second part: buckets, objects, and the right to read one.
import ProtoWire

public struct Bucket: Message {
  public var name = ""
  public var createdAt: Timestamp?
  public var region = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Bucket",
    [.init(1, "name", .string), .init(2, "created_at", .message(Timestamp.self)), .init(3, "region", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    case 2: try reader.message(into: &createdAt)
    case 3: region = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, name)
    writer.message(2, createdAt)
    writer.string(3, region)
  }
}

public struct ListBucketsRequest: Message {
  public var connection = ""
  public var pageSize: Int32 = 0
  public var pageToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListBucketsRequest",
    [.init(1, "connection", .string), .init(2, "page_size", .int32), .init(3, "page_token", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: connection = try reader.string()
    case 2: pageSize = try reader.int32()
    case 3: pageToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, connection)
    writer.int32(2, pageSize)
    writer.string(3, pageToken)
  }
}

public struct ListBucketsResponse: Message {
  public var buckets: [Bucket] = []
  public var nextPageToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListBucketsResponse",
    [.init(1, "buckets", .message(Bucket.self), .repeated), .init(2, "next_page_token", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &buckets)
    case 2: nextPageToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.messages(1, buckets)
    writer.string(2, nextPageToken)
  }
}

public struct ObjectInfo: Message {
  public var bucket = ""
  public var key = ""
  /// Bytes.
  public var size: Int64 = 0
  /// As the provider gives it, with its quotes.
  public var etag = ""
  /// Where the bucket keeps versions.
  public var versionID = ""
  public var modifiedAt: Timestamp?
  public var storageClass = ""
  public var contentType = ""
  public var checksums: [Checksum] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ObjectInfo",
    [
      .init(1, "bucket", .string), .init(2, "key", .string), .init(3, "size", .int64), .init(4, "etag", .string),
      .init(5, "version_id", .string), .init(6, "modified_at", .message(Timestamp.self)),
      .init(7, "storage_class", .string), .init(8, "content_type", .string),
      .init(9, "checksums", .message(Checksum.self), .repeated),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: bucket = try reader.string()
    case 2: key = try reader.string()
    case 3: size = try reader.int64()
    case 4: etag = try reader.string()
    case 5: versionID = try reader.string()
    case 6: try reader.message(into: &modifiedAt)
    case 7: storageClass = try reader.string()
    case 8: contentType = try reader.string()
    case 9: try reader.messages(into: &checksums)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, bucket)
    writer.string(2, key)
    writer.int64(3, size)
    writer.string(4, etag)
    writer.string(5, versionID)
    writer.message(6, modifiedAt)
    writer.string(7, storageClass)
    writer.string(8, contentType)
    writer.messages(9, checksums)
  }
}

public struct Checksum: Message {
  /// "SHA256", "CRC64NVME", "CRC32C", "MD5"
  public var algorithm = ""
  /// Base64, as S3 writes it.
  public var value = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Checksum", [.init(1, "algorithm", .string), .init(2, "value", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: algorithm = try reader.string()
    case 2: value = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, algorithm)
    writer.string(2, value)
  }
}

public struct ListObjectsRequest: Message {
  public var connection = ""
  public var bucket = ""
  public var prefix = ""
  /// "/" lists one folder; empty lists everything under the prefix.
  public var delimiter = ""
  public var pageSize: Int32 = 0
  public var pageToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListObjectsRequest",
    [
      .init(1, "connection", .string), .init(2, "bucket", .string), .init(3, "prefix", .string),
      .init(4, "delimiter", .string), .init(5, "page_size", .int32), .init(6, "page_token", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: connection = try reader.string()
    case 2: bucket = try reader.string()
    case 3: prefix = try reader.string()
    case 4: delimiter = try reader.string()
    case 5: pageSize = try reader.int32()
    case 6: pageToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, connection)
    writer.string(2, bucket)
    writer.string(3, prefix)
    writer.string(4, delimiter)
    writer.int32(5, pageSize)
    writer.string(6, pageToken)
  }
}

public struct ListObjectsResponse: Message {
  public var objects: [ObjectInfo] = []
  public var commonPrefixes: [String] = []
  public var nextPageToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListObjectsResponse",
    [
      .init(1, "objects", .message(ObjectInfo.self), .repeated), .init(2, "common_prefixes", .string, .repeated),
      .init(3, "next_page_token", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &objects)
    case 2: commonPrefixes.append(try reader.string())
    case 3: nextPageToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.messages(1, objects)
    writer.strings(2, commonPrefixes)
    writer.string(3, nextPageToken)
  }
}

public struct StatObjectRequest: Message {
  public var connection = ""
  public var bucket = ""
  public var key = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.StatObjectRequest",
    [.init(1, "connection", .string), .init(2, "bucket", .string), .init(3, "key", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: connection = try reader.string()
    case 2: bucket = try reader.string()
    case 3: key = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, connection)
    writer.string(2, bucket)
    writer.string(3, key)
  }
}

public struct GrantReadRequest: Message {
  public var connection = ""
  public var bucket = ""
  public var key = ""
  /// The version to pin: a read of anything else fails.
  public var etag = ""
  public var versionID = ""
  /// Bytes of that version, if known: given together with the etag, the provider need not be asked.
  public var size: Int64 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.GrantReadRequest",
    [
      .init(1, "connection", .string), .init(2, "bucket", .string), .init(3, "key", .string),
      .init(4, "etag", .string), .init(5, "version_id", .string), .init(6, "size", .int64),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: connection = try reader.string()
    case 2: bucket = try reader.string()
    case 3: key = try reader.string()
    case 4: etag = try reader.string()
    case 5: versionID = try reader.string()
    case 6: size = try reader.int64()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, connection)
    writer.string(2, bucket)
    writer.string(3, key)
    writer.string(4, etag)
    writer.string(5, versionID)
    writer.int64(6, size)
  }
}

public struct HeaderField: Message {
  public var name = ""
  public var value = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.HeaderField", [.init(1, "name", .string), .init(2, "value", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    case 2: value = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, name)
    writer.string(2, value)
  }
}

public struct ReadGrant: Message {
  /// For GET, of a range or of all; or
  public var url = ""
  /// a local file.
  public var path = ""
  /// To be sent along, as they are.
  public var headers: [HeaderField] = []
  public var expiresAt: Timestamp?
  /// What the read must still find.
  public var etag = ""
  /// Bytes.
  public var size: Int64 = 0
  /// Local files: the modification time to find, nanoseconds since 1970.
  public var modifiedNS: Int64 = 0
  /// Of the whole version, where the provider was asked for it and states some.
  public var checksums: [Checksum] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ReadGrant",
    [
      .init(1, "url", .string), .init(2, "path", .string),
      .init(3, "headers", .message(HeaderField.self), .repeated),
      .init(4, "expires_at", .message(Timestamp.self)), .init(5, "etag", .string), .init(6, "size", .int64),
      .init(7, "modified_ns", .int64), .init(8, "checksums", .message(Checksum.self), .repeated),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: url = try reader.string()
    case 2: path = try reader.string()
    case 3: try reader.messages(into: &headers)
    case 4: try reader.message(into: &expiresAt)
    case 5: etag = try reader.string()
    case 6: size = try reader.int64()
    case 7: modifiedNS = try reader.int64()
    case 8: try reader.messages(into: &checksums)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, url)
    writer.string(2, path)
    writer.messages(3, headers)
    writer.message(4, expiresAt)
    writer.string(5, etag)
    writer.int64(6, size)
    writer.int64(7, modifiedNS)
    writer.messages(8, checksums)
  }
}
