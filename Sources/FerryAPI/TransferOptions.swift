// transfer.proto, third part: what may be chosen about a delivery: conflicts, compression, folders, names, bandwidth, proof.
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
  /// RFC 1952, one member; the name gets ".gz".
  public static let gzip = Compression(rawValue: 2)
  /// RFC 8878, a frame for each chunk; the name gets ".zst".
  public static let zstd = Compression(rawValue: 3)
  /// Gzip for each file whose sample says that it pays, none for the others.
  public static let automatic = Compression(rawValue: 4)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.Compression",
    [
      ("COMPRESSION_UNSPECIFIED", 0), ("COMPRESSION_NONE", 1), ("COMPRESSION_GZIP", 2), ("COMPRESSION_ZSTD", 3),
      ("COMPRESSION_AUTOMATIC", 4),
    ])
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
  /// Where the server computes no SHA-256, SHA-1 or MD5 of its files but a CRC-32, that will do; the receipt says so.
  public static let checksum = Proof(rawValue: 3)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.Proof",
    [("PROOF_UNSPECIFIED", 0), ("PROOF_SHA256", 1), ("PROOF_SIZE", 2), ("PROOF_CHECKSUM", 3)])
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

public struct Weekday: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = Weekday(rawValue: 0)
  public static let monday = Weekday(rawValue: 1)
  public static let tuesday = Weekday(rawValue: 2)
  public static let wednesday = Weekday(rawValue: 3)
  public static let thursday = Weekday(rawValue: 4)
  public static let friday = Weekday(rawValue: 5)
  public static let saturday = Weekday(rawValue: 6)
  public static let sunday = Weekday(rawValue: 7)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.Weekday",
    [
      ("WEEKDAY_UNSPECIFIED", 0), ("WEEKDAY_MONDAY", 1), ("WEEKDAY_TUESDAY", 2), ("WEEKDAY_WEDNESDAY", 3),
      ("WEEKDAY_THURSDAY", 4), ("WEEKDAY_FRIDAY", 5), ("WEEKDAY_SATURDAY", 6), ("WEEKDAY_SUNDAY", 7),
    ])
}

/// Hours with a cap of their own.
public struct BandwidthWindow: Message {
  /// "22:00"
  public var from = ""
  /// "06:00", the next day if it is no later than `from`.
  public var until = ""
  /// On which the window begins; empty: every day.
  public var days: [Weekday] = []
  /// 0: no cap.
  public var bytesPerSecond: Int64 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.BandwidthWindow",
    [
      .init(1, "from", .string), .init(2, "until", .string), .init(3, "days", .enumeration(Weekday.self), .repeated),
      .init(4, "bytes_per_second", .int64),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: from = try reader.string()
    case 2: until = try reader.string()
    case 3: try reader.enumerations(into: &days)
    case 4: bytesPerSecond = try reader.int64()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, from)
    writer.string(2, until)
    writer.enumerations(3, days)
    writer.int64(4, bytesPerSecond)
  }
}

/// How fast bytes may leave, by the hour.
public struct Bandwidth: Message {
  /// Outside all windows; 0: no cap.
  public var bytesPerSecond: Int64 = 0
  /// The first that holds the moment counts.
  public var windows: [BandwidthWindow] = []
  /// An IANA name, "Europe/Berlin"; empty: UTC.
  public var timeZone = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Bandwidth",
    [
      .init(1, "bytes_per_second", .int64), .init(2, "windows", .message(BandwidthWindow.self), .repeated),
      .init(3, "time_zone", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: bytesPerSecond = try reader.int64()
    case 2: try reader.messages(into: &windows)
    case 3: timeZone = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.int64(1, bytesPerSecond)
    writer.messages(2, windows)
    writer.string(3, timeZone)
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
  /// Of this delivery; the destination's own counts too.
  public var bandwidth: Bandwidth?
  public var proof = Proof.unspecified
  /// Permissions of delivered files, 0o640 say; 0: the server's own.
  public var fileMode: Int32 = 0
  /// Of folders that are made; 0: the server's own.
  public var folderMode: Int32 = 0
  /// Files get the source's modification time.
  public var keepTimes = false
  /// Gzip 1 to 9, zstd 1 to 19; 0: the default, 6 and 3.
  public var compressionLevel: Int32 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.DeliveryOptions",
    [
      .init(1, "on_conflict", .enumeration(OnConflict.self)),
      .init(2, "compression", .enumeration(Compression.self)), .init(3, "chunk_size", .int64),
      .init(4, "folders", .enumeration(Folders.self)), .init(5, "names", .message(NameMapping.self)),
      .init(6, "checksum_sidecar", .bool), .init(7, "bandwidth", .message(Bandwidth.self)),
      .init(8, "proof", .enumeration(Proof.self)), .init(9, "file_mode", .int32),
      .init(10, "folder_mode", .int32), .init(11, "keep_times", .bool), .init(12, "compression_level", .int32),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: onConflict = try reader.enumeration()
    case 2: compression = try reader.enumeration()
    case 3: chunkSize = try reader.int64()
    case 4: folders = try reader.enumeration()
    case 5: try reader.message(into: &names)
    case 6: checksumSidecar = try reader.bool()
    case 7: try reader.message(into: &bandwidth)
    case 8: proof = try reader.enumeration()
    case 9: fileMode = try reader.int32()
    case 10: folderMode = try reader.int32()
    case 11: keepTimes = try reader.bool()
    case 12: compressionLevel = try reader.int32()
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
    writer.message(7, bandwidth)
    writer.enumeration(8, proof)
    writer.int32(9, fileMode)
    writer.int32(10, folderMode)
    writer.bool(11, keepTimes)
    writer.int32(12, compressionLevel)
  }
}
