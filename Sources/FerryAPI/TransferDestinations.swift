// transfer.proto, second part: sources, and customers' servers with their keys and the test of them.
import ProtoWire

public struct SelectionKind: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// The object of that key if there is one, else everything under it as a folder.
  public static let unspecified = SelectionKind(rawValue: 0)
  public static let key = SelectionKind(rawValue: 1)
  public static let prefix = SelectionKind(rawValue: 2)
  /// "in/**/*.csv": see `Selection`.
  public static let glob = SelectionKind(rawValue: 3)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.SelectionKind",
    [
      ("SELECTION_KIND_UNSPECIFIED", 0), ("SELECTION_KIND_KEY", 1), ("SELECTION_KIND_PREFIX", 2),
      ("SELECTION_KIND_GLOB", 3),
    ])
}

public struct Selection: Message {
  public var kind = SelectionKind.unspecified
  public var value = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Selection", [.init(1, "kind", .enumeration(SelectionKind.self)), .init(2, "value", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: kind = try reader.enumeration()
    case 2: value = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.enumeration(1, kind)
    writer.string(2, value)
  }
}

public struct Source: Message {
  /// storage-broker's name for it; empty: "default".
  public var connection = ""
  public var bucket = ""
  public var selections: [Selection] = []
  /// Globs: what they match is left out. One without a slash means a file's own name in any folder, "*.tmp".
  public var excludes: [String] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Source",
    [
      .init(1, "connection", .string), .init(2, "bucket", .string),
      .init(3, "selections", .message(Selection.self), .repeated), .init(4, "excludes", .string, .repeated),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: connection = try reader.string()
    case 2: bucket = try reader.string()
    case 3: try reader.messages(into: &selections)
    case 4: excludes.append(try reader.string())
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, connection)
    writer.string(2, bucket)
    writer.messages(3, selections)
    writer.strings(4, excludes)
  }
}

public struct DestinationCredentials: Message {
  public var password = ""
  /// PEM or OpenSSH format.
  public var privateKey = ""
  /// Of the private key.
  public var passphrase = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.DestinationCredentials",
    [.init(1, "password", .string), .init(2, "private_key", .string), .init(3, "passphrase", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: password = try reader.string()
    case 2: privateKey = try reader.string()
    case 3: passphrase = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, password)
    writer.string(2, privateKey)
    writer.string(3, passphrase)
  }
}

/// Host keys are compared by fingerprint, as OpenSSH prints it: "SHA256:" and base64 without padding.
public struct HostKeyPolicy: Message {
  /// Any of these; empty: those accepted before.
  public var fingerprints: [String] = []
  /// Accept and remember the key of a host never seen; a changed one is always refused.
  public var acceptNew = false
  /// Lines of an OpenSSH known_hosts file, hashed names too; they count like fingerprints.
  public var knownHosts = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.HostKeyPolicy",
    [.init(1, "fingerprints", .string, .repeated), .init(2, "accept_new", .bool), .init(3, "known_hosts", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: fingerprints.append(try reader.string())
    case 2: acceptNew = try reader.bool()
    case 3: knownHosts = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.strings(1, fingerprints)
    writer.bool(2, acceptNew)
    writer.string(3, knownHosts)
  }
}

public struct Destination: Message {
  /// Of a saved one; empty inside a request that spells it out.
  public var name = ""
  /// "sftp://user@host:22/dir", also ftp, ftpes, ftps; "/~/dir" is below the login's home.
  public var url = ""
  public var hostKeys: HostKeyPolicy?
  public var hasPassword = false
  public var hasPrivateKey = false
  /// 0: the default, 4.
  public var maxConnections: Int32 = 0
  public var updatedAt: Timestamp?
  /// FTP: the server connects back for each file.
  public var active = false
  /// FTPS: PEM, to trust in place of the system's.
  public var trustedCertificates = ""
  /// SFTP: prove files by a SHA-256 command that the server runs, where it can.
  public var allowHashCommand = false
  /// Of all deliveries to it together; nil: no cap.
  public var bandwidth: Bandwidth?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Destination",
    [
      .init(1, "name", .string), .init(2, "url", .string), .init(3, "host_keys", .message(HostKeyPolicy.self)),
      .init(4, "has_password", .bool), .init(5, "has_private_key", .bool), .init(6, "max_connections", .int32),
      .init(7, "updated_at", .message(Timestamp.self)), .init(8, "active", .bool),
      .init(9, "trusted_certificates", .string), .init(10, "allow_hash_command", .bool),
      .init(11, "bandwidth", .message(Bandwidth.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    case 2: url = try reader.string()
    case 3: try reader.message(into: &hostKeys)
    case 4: hasPassword = try reader.bool()
    case 5: hasPrivateKey = try reader.bool()
    case 6: maxConnections = try reader.int32()
    case 7: try reader.message(into: &updatedAt)
    case 8: active = try reader.bool()
    case 9: trustedCertificates = try reader.string()
    case 10: allowHashCommand = try reader.bool()
    case 11: try reader.message(into: &bandwidth)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, name)
    writer.string(2, url)
    writer.message(3, hostKeys)
    writer.bool(4, hasPassword)
    writer.bool(5, hasPrivateKey)
    writer.int32(6, maxConnections)
    writer.message(7, updatedAt)
    writer.bool(8, active)
    writer.string(9, trustedCertificates)
    writer.bool(10, allowHashCommand)
    writer.message(11, bandwidth)
  }
}

public struct SaveDestinationRequest: Message {
  public var destination: Destination?
  /// Absent keeps what is stored.
  public var credentials: DestinationCredentials?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.SaveDestinationRequest",
    [
      .init(1, "destination", .message(Destination.self)),
      .init(2, "credentials", .message(DestinationCredentials.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &destination)
    case 2: try reader.message(into: &credentials)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.message(1, destination)
    writer.message(2, credentials)
  }
}

public struct ListDestinationsRequest: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.ListDestinationsRequest", [])
}

public struct ListDestinationsResponse: Message {
  public var destinations: [Destination] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListDestinationsResponse", [.init(1, "destinations", .message(Destination.self), .repeated)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &destinations)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.messages(1, destinations) }
}

public struct DeleteDestinationRequest: Message {
  public var name = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor("fileferry.v1.DeleteDestinationRequest", [.init(1, "name", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, name) }
}

public struct DeleteDestinationResponse: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.DeleteDestinationResponse", [])
}

public struct TestDestinationRequest: Message {
  /// A saved one by name, or spelled out.
  public var destination: Destination?
  /// For one spelled out.
  public var credentials: DestinationCredentials?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.TestDestinationRequest",
    [
      .init(1, "destination", .message(Destination.self)),
      .init(2, "credentials", .message(DestinationCredentials.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &destination)
    case 2: try reader.message(into: &credentials)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.message(1, destination)
    writer.message(2, credentials)
  }
}

public struct ProbeStep: Message {
  /// "resolve", "connect", "handshake", "host key", "login", "write", "rename", "delete"
  public var name = ""
  public var ok = false
  public var detail = ""
  /// Microseconds.
  public var durationUS: Int64 = 0
  public var problem: Problem?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ProbeStep",
    [
      .init(1, "name", .string), .init(2, "ok", .bool), .init(3, "detail", .string), .init(4, "duration_us", .int64),
      .init(5, "problem", .message(Problem.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    case 2: ok = try reader.bool()
    case 3: detail = try reader.string()
    case 4: durationUS = try reader.int64()
    case 5: try reader.message(into: &problem)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, name)
    writer.bool(2, ok)
    writer.string(3, detail)
    writer.int64(4, durationUS)
    writer.message(5, problem)
  }
}

public struct TestDestinationResponse: Message {
  public var ok = false
  public var steps: [ProbeStep] = []
  /// The fingerprint that the server showed.
  public var hostKey = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.TestDestinationResponse",
    [
      .init(1, "ok", .bool), .init(2, "steps", .message(ProbeStep.self), .repeated), .init(3, "host_key", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: ok = try reader.bool()
    case 2: try reader.messages(into: &steps)
    case 3: hostKey = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.bool(1, ok)
    writer.messages(2, steps)
    writer.string(3, hostKey)
  }
}
