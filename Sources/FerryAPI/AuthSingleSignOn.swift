// auth.proto, single sign-on: the identity providers that are set up, and the two calls around the browser's way there.
import ProtoWire
import RPC

public struct IdentityProviderKind: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = IdentityProviderKind(rawValue: 0)
  public static let oidc = IdentityProviderKind(rawValue: 1)
  /// IAM Identity Center.
  public static let aws = IdentityProviderKind(rawValue: 2)
  /// Entra ID.
  public static let microsoft = IdentityProviderKind(rawValue: 3)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.IdentityProviderKind",
    [
      ("IDENTITY_PROVIDER_KIND_UNSPECIFIED", 0), ("IDENTITY_PROVIDER_KIND_OIDC", 1), ("IDENTITY_PROVIDER_KIND_AWS", 2),
      ("IDENTITY_PROVIDER_KIND_MICROSOFT", 3),
    ])
}

public struct IdentityProvider: Message {
  /// "microsoft"
  public var id = ""
  /// As on the button.
  public var name = ""
  public var kind: IdentityProviderKind = .unspecified
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.IdentityProvider",
    [
      .init(1, "id", .string), .init(2, "name", .string),
      .init(3, "kind", .enumeration(IdentityProviderKind.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: id = try reader.string()
    case 2: name = try reader.string()
    case 3: kind = try reader.enumeration()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, id)
    writer.string(2, name)
    writer.enumeration(3, kind)
  }
}

public struct ListIdentityProvidersRequest: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.ListIdentityProvidersRequest", [])
}

public struct ListIdentityProvidersResponse: Message {
  public var providers: [IdentityProvider] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListIdentityProvidersResponse",
    [.init(1, "providers", .message(IdentityProvider.self), .repeated)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &providers)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.messages(1, providers) }
}

public struct BeginSingleSignOnRequest: Message {
  public var providerID = ""
  /// Where the provider sends the browser back to, as registered there.
  public var redirectURI = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.BeginSingleSignOnRequest", [.init(1, "provider_id", .string), .init(2, "redirect_uri", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: providerID = try reader.string()
    case 2: redirectURI = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, providerID)
    writer.string(2, redirectURI)
  }
}

public struct BeginSingleSignOnResponse: Message {
  /// Where to send the browser.
  public var authorizationURL = ""
  /// Sealed; whoever began keeps it and shows it to complete, so that nobody else can.
  public var flow = ""
  public var expiresAt: Timestamp?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.BeginSingleSignOnResponse",
    [
      .init(1, "authorization_url", .string), .init(2, "flow", .string),
      .init(3, "expires_at", .message(Timestamp.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: authorizationURL = try reader.string()
    case 2: flow = try reader.string()
    case 3: try reader.message(into: &expiresAt)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, authorizationURL)
    writer.string(2, flow)
    writer.message(3, expiresAt)
  }
}

/// What came back to the redirect URI, and the flow. `error` and `errorDescription` stand in place of `code` where the
/// provider refused (RFC 6749 section 4.1.2.1).
public struct CompleteSingleSignOnRequest: Message {
  public var flow = ""
  public var state = ""
  public var code = ""
  public var error = ""
  public var errorDescription = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.CompleteSingleSignOnRequest",
    [
      .init(1, "flow", .string), .init(2, "state", .string), .init(3, "code", .string), .init(4, "error", .string),
      .init(5, "error_description", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: flow = try reader.string()
    case 2: state = try reader.string()
    case 3: code = try reader.string()
    case 4: error = try reader.string()
    case 5: errorDescription = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, flow)
    writer.string(2, state)
    writer.string(3, code)
    writer.string(4, error)
    writer.string(5, errorDescription)
  }
}
