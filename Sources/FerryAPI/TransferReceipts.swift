// transfer.proto, seventh part: receipts and the key that they are checked with.
import ProtoWire

/// What the signed payload says, in proto3 JSON.
public struct Receipt: Message {
  public var deliveryID = ""
  public var requester: Person?
  public var userTicket = ""
  public var auditTicket = ""
  /// "s3://bucket"
  public var source = ""
  /// "sftp://user@host:22"
  public var destination = ""
  /// The fingerprint of the server that holds the files.
  public var hostKey = ""
  public var files: [ReceiptFile] = []
  /// At the destination.
  public var totalBytes: Int64 = 0
  public var startedAt: Timestamp?
  public var finishedAt: Timestamp?
  /// How it was proven: "sha256, read back".
  public var proof = ""
  /// Of a delivery with more files than a receipt holds: their list, in parts, instead of `files`.
  public var parts: [ReceiptPart] = []
  public var totalFiles: Int64 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Receipt",
    [
      .init(1, "delivery_id", .string), .init(2, "requester", .message(Person.self)),
      .init(3, "user_ticket", .string), .init(4, "audit_ticket", .string), .init(5, "source", .string),
      .init(6, "destination", .string), .init(7, "host_key", .string),
      .init(8, "files", .message(ReceiptFile.self), .repeated), .init(9, "total_bytes", .int64),
      .init(10, "started_at", .message(Timestamp.self)), .init(11, "finished_at", .message(Timestamp.self)),
      .init(12, "proof", .string), .init(13, "parts", .message(ReceiptPart.self), .repeated),
      .init(14, "total_files", .int64),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: deliveryID = try reader.string()
    case 2: try reader.message(into: &requester)
    case 3: userTicket = try reader.string()
    case 4: auditTicket = try reader.string()
    case 5: source = try reader.string()
    case 6: destination = try reader.string()
    case 7: hostKey = try reader.string()
    case 8: try reader.messages(into: &files)
    case 9: totalBytes = try reader.int64()
    case 10: try reader.message(into: &startedAt)
    case 11: try reader.message(into: &finishedAt)
    case 12: proof = try reader.string()
    case 13: try reader.messages(into: &parts)
    case 14: totalFiles = try reader.int64()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, deliveryID)
    writer.message(2, requester)
    writer.string(3, userTicket)
    writer.string(4, auditTicket)
    writer.string(5, source)
    writer.string(6, destination)
    writer.string(7, hostKey)
    writer.messages(8, files)
    writer.int64(9, totalBytes)
    writer.message(10, startedAt)
    writer.message(11, finishedAt)
    writer.string(12, proof)
    writer.messages(13, parts)
    writer.int64(14, totalFiles)
  }
}

public struct ReceiptFile: Message {
  public var key = ""
  public var path = ""
  /// Bytes.
  public var size: Int64 = 0
  /// Hex.
  public var sha256 = ""
  /// The source's version id, else its ETag.
  public var version = ""
  public var deliveredAt: Timestamp?
  /// Of a file that was compressed on its way: `size` and `sha256` are of what lies at the destination, and it was unpacked
  /// and compared with the source before it was sent.
  public var compression = Compression.unspecified
  /// Bytes.
  public var sourceSize: Int64 = 0
  /// Hex.
  public var sourceSHA256 = ""
  /// What the server computed of the file it holds, where that is another hash than SHA-256, and what the bytes have whose
  /// SHA-256 is above: "sha1:2fd4e1c6...", "md5:...", "crc32:...".
  public var serverChecksum = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ReceiptFile",
    [
      .init(1, "key", .string), .init(2, "path", .string), .init(3, "size", .int64), .init(4, "sha256", .string),
      .init(5, "version", .string), .init(6, "delivered_at", .message(Timestamp.self)),
      .init(7, "compression", .enumeration(Compression.self)), .init(8, "source_size", .int64),
      .init(9, "source_sha256", .string), .init(10, "server_checksum", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: key = try reader.string()
    case 2: path = try reader.string()
    case 3: size = try reader.int64()
    case 4: sha256 = try reader.string()
    case 5: version = try reader.string()
    case 6: try reader.message(into: &deliveredAt)
    case 7: compression = try reader.enumeration()
    case 8: sourceSize = try reader.int64()
    case 9: sourceSHA256 = try reader.string()
    case 10: serverChecksum = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, key)
    writer.string(2, path)
    writer.int64(3, size)
    writer.string(4, sha256)
    writer.string(5, version)
    writer.message(6, deliveredAt)
    writer.enumeration(7, compression)
    writer.int64(8, sourceSize)
    writer.string(9, sourceSHA256)
    writer.string(10, serverChecksum)
  }
}

/// A part of the list of files: lines of proto3 JSON, one ReceiptFile each, bound to the receipt by its hash.
public struct ReceiptPart: Message {
  public var files: Int32 = 0
  /// Of the part's text.
  public var bytes: Int64 = 0
  /// Hex, of the part's text.
  public var sha256 = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ReceiptPart", [.init(1, "files", .int32), .init(2, "bytes", .int64), .init(3, "sha256", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: files = try reader.int32()
    case 2: bytes = try reader.int64()
    case 3: sha256 = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.int32(1, files)
    writer.int64(2, bytes)
    writer.string(3, sha256)
  }
}

/// A JSON Web Signature (RFC 7515) in its flattened JSON form is the first three, base64url without padding.
public struct SignedReceipt: Message {
  public var protected = ""
  public var payload = ""
  public var signature = ""
  /// The payload, decoded.
  public var receipt: Receipt?
  /// The three as a file to keep.
  public var jwsJSON = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.SignedReceipt",
    [
      .init(1, "protected", .string), .init(2, "payload", .string), .init(3, "signature", .string),
      .init(4, "receipt", .message(Receipt.self)), .init(5, "jws_json", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: protected = try reader.string()
    case 2: payload = try reader.string()
    case 3: signature = try reader.string()
    case 4: try reader.message(into: &receipt)
    case 5: jwsJSON = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, protected)
    writer.string(2, payload)
    writer.string(3, signature)
    writer.message(4, receipt)
    writer.string(5, jwsJSON)
  }
}

public struct GetReceiptRequest: Message {
  public var deliveryID = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.GetReceiptRequest", [.init(1, "delivery_id", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: deliveryID = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, deliveryID) }
}

public struct GetReceiptPartRequest: Message {
  public var deliveryID = ""
  /// From 0.
  public var part: Int32 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.GetReceiptPartRequest", [.init(1, "delivery_id", .string), .init(2, "part", .int32)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: deliveryID = try reader.string()
    case 2: part = try reader.int32()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, deliveryID)
    writer.int32(2, part)
  }
}

public struct GetReceiptPartResponse: Message {
  /// Lines, each ended by a newline.
  public var text = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.GetReceiptPartResponse", [.init(1, "text", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: text = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, text)
  }
}

public struct GetReceiptKeyRequest: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.GetReceiptKeyRequest", [])
}

public struct ReceiptKey: Message {
  /// RFC 8037: kty OKP, crv Ed25519.
  public var jwkJSON = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor("fileferry.v1.ReceiptKey", [.init(1, "jwk_json", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: jwkJSON = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, jwkJSON) }
}

extension SignedReceipt {
  /// The flattened JSON form (RFC 7515 section 7.2.2), from the three parts; base64url needs no escaping. Large receipts come
  /// without `jwsJSON`, and this makes it.
  public var flattenedJSON: String {
    #"{"payload":"\#(payload)","protected":"\#(protected)","signature":"\#(signature)"}"#
  }
}
