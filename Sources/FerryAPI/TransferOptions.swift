// transfer.proto, third part: what may be chosen about a delivery: conflicts, folders, names, proof.
import ProtoWire

public struct OnConflict: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Taken as overwrite.
  public static let unspecified = OnConflict(rawValue: 0)
  /// In one step, only after the new file is proven.
  public static let overwrite = OnConflict(rawValue: 1)
  public static let fail = OnConflict(rawValue: 2)
  /// A file that is there with the very bytes is left alone; another is replaced.
  public static let skipIfEqual = OnConflict(rawValue: 3)
  /// The new file gets a number: "report (1).csv".
  public static let keepBoth = OnConflict(rawValue: 4)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.OnConflict",
    [
      ("ON_CONFLICT_UNSPECIFIED", 0), ("ON_CONFLICT_OVERWRITE", 1), ("ON_CONFLICT_FAIL", 2),
      ("ON_CONFLICT_SKIP_IF_EQUAL", 3), ("ON_CONFLICT_KEEP_BOTH", 4),
    ])
}

public struct Compression: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Taken as none.
  public static let unspecified = Compression(rawValue: 0)
  public static let none = Compression(rawValue: 1)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.Compression", [("COMPRESSION_UNSPECIFIED", 0), ("COMPRESSION_NONE", 1)])
}

public struct Folders: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Taken as keep.
  public static let unspecified = Folders(rawValue: 0)
  /// As below the selected folder or before the glob's first wildcard.
  public static let keep = Folders(rawValue: 1)
  /// Every file right in the destination's folder.
  public static let flatten = Folders(rawValue: 2)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.Folders", [("FOLDERS_UNSPECIFIED", 0), ("FOLDERS_KEEP", 1), ("FOLDERS_FLATTEN", 2)])
}

public struct Proof: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Taken as SHA-256.
  public static let unspecified = Proof(rawValue: 0)
  /// Of every byte at the destination.
  public static let sha256 = Proof(rawValue: 1)
  /// The size alone, as the user chose; the receipt says so.
  public static let size = Proof(rawValue: 2)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.Proof", [("PROOF_UNSPECIFIED", 0), ("PROOF_SHA256", 1), ("PROOF_SIZE", 2)])
}

public struct LetterCase: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// As it is.
  public static let unspecified = LetterCase(rawValue: 0)
  public static let lower = LetterCase(rawValue: 1)
  public static let upper = LetterCase(rawValue: 2)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.LetterCase", [("LETTER_CASE_UNSPECIFIED", 0), ("LETTER_CASE_LOWER", 1), ("LETTER_CASE_UPPER", 2)])
}

public struct NameReplacement: Message {
  /// Plain text; never empty.
  public var find = ""
  public var replace = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.NameReplacement", [.init(1, "find", .string), .init(2, "replace", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: find = try reader.string()
    case 2: replace = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, find)
    writer.string(2, replace)
  }
}

/// How a file's path below the destination's folder is made from its name.
public struct NameMapping: Message {
  /// In order, each everywhere in the name.
  public var replacements: [NameReplacement] = []
  /// After the replacements.
  public var letterCase = LetterCase.unspecified
  /// At last: "{stem}-{date}.{ext}", from {path}, {folder}, {name}, {stem}, {ext}, {index}, {date} and {time} (of
  /// the planning, UTC), {ticket}, {group}, {environment}; empty: "{path}".
  public var template = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.NameMapping",
    [
      .init(1, "replacements", .message(NameReplacement.self), .repeated),
      .init(2, "letter_case", .enumeration(LetterCase.self)), .init(3, "template", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &replacements)
    case 2: letterCase = try reader.enumeration()
    case 3: template = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.messages(1, replacements)
    writer.enumeration(2, letterCase)
    writer.string(3, template)
  }
}

public struct DeliveryOptions: Message {
  public var onConflict = OnConflict.unspecified
  public var compression = Compression.unspecified
  /// Bytes; 0: the default, 8 MiB.
  public var chunkSize: Int64 = 0
  public var folders = Folders.unspecified
  public var names: NameMapping?
  /// Beside each file its ".sha256", as sha256sum -c reads it.
  public var checksumSidecar = false
  public var proof = Proof.unspecified
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.DeliveryOptions",
    [
      .init(1, "on_conflict", .enumeration(OnConflict.self)),
      .init(2, "compression", .enumeration(Compression.self)), .init(3, "chunk_size", .int64),
      .init(4, "folders", .enumeration(Folders.self)), .init(5, "names", .message(NameMapping.self)),
      .init(6, "checksum_sidecar", .bool), .init(8, "proof", .enumeration(Proof.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: onConflict = try reader.enumeration()
    case 2: compression = try reader.enumeration()
    case 3: chunkSize = try reader.int64()
    case 4: folders = try reader.enumeration()
    case 5: try reader.message(into: &names)
    case 6: checksumSidecar = try reader.bool()
    case 8: proof = try reader.enumeration()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.enumeration(1, onConflict)
    writer.enumeration(2, compression)
    writer.int64(3, chunkSize)
    writer.enumeration(4, folders)
    writer.message(5, names)
    writer.bool(6, checksumSidecar)
    writer.enumeration(8, proof)
  }
}
