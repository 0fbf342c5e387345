// auth.proto: people, roles, sessions and the keys that the other services check tokens with.
import ProtoWire
import RPC

public enum Auth {
  static let name = "fileferry.v1.Auth"

  // Public calls: they are how a caller gets a token.
  public static let signIn = UnaryMethod<SignInRequest, Session>(name, "SignIn")
  public static let refresh = UnaryMethod<RefreshRequest, Session>(name, "Refresh")
  /// The public keys of access tokens, as JSON Web Keys (RFC 7517, RFC 8037).
  public static let getKeys = UnaryMethod<GetKeysRequest, KeySet>(name, "GetKeys")
  /// A service proves itself with its own secret and gets a token of its own, or one to act for a person (RFC 8693
  /// 'act').
  public static let issueServiceToken = UnaryMethod<IssueServiceTokenRequest, AccessToken>(name, "IssueServiceToken")

  /// Single sign-on: OpenID Connect Core 1.0, authorization code flow with PKCE (RFC 7636). Public as well.
  public static let listIdentityProviders = UnaryMethod<ListIdentityProvidersRequest, ListIdentityProvidersResponse>(
    name, "ListIdentityProviders")
  public static let beginSingleSignOn = UnaryMethod<BeginSingleSignOnRequest, BeginSingleSignOnResponse>(
    name, "BeginSingleSignOn")
  public static let completeSingleSignOn = UnaryMethod<CompleteSingleSignOnRequest, Session>(
    name, "CompleteSingleSignOn")

  public static let signOut = UnaryMethod<SignOutRequest, SignOutResponse>(name, "SignOut")
  public static let whoAmI = UnaryMethod<WhoAmIRequest, User>(name, "WhoAmI")
  public static let changePassword = UnaryMethod<ChangePasswordRequest, ChangePasswordResponse>(name, "ChangePassword")

  // Administration: role admin.
  public static let createUser = UnaryMethod<CreateUserRequest, User>(name, "CreateUser")
  public static let updateUser = UnaryMethod<UpdateUserRequest, User>(name, "UpdateUser")
  public static let listUsers = UnaryMethod<ListUsersRequest, ListUsersResponse>(name, "ListUsers")

  public static let service = ServiceDescriptor(
    name,
    [
      signIn.descriptor, refresh.descriptor, getKeys.descriptor, issueServiceToken.descriptor,
      listIdentityProviders.descriptor, beginSingleSignOn.descriptor, completeSingleSignOn.descriptor,
      signOut.descriptor, whoAmI.descriptor, changePassword.descriptor, createUser.descriptor, updateUser.descriptor, listUsers.descriptor,
    ])
}

public struct Role: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = Role(rawValue: 0)
  /// Asks for deliveries and sees their own.
  public static let requester = Role(rawValue: 1)
  /// Approves or rejects other people's requests.
  public static let approver = Role(rawValue: 2)
  /// Sees and steers every delivery.
  public static let `operator` = Role(rawValue: 3)
  /// Reads everything, changes nothing.
  public static let auditor = Role(rawValue: 4)
  /// People, roles, connections, destinations.
  public static let admin = Role(rawValue: 5)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.Role",
    [
      ("ROLE_UNSPECIFIED", 0), ("ROLE_REQUESTER", 1), ("ROLE_APPROVER", 2), ("ROLE_OPERATOR", 3), ("ROLE_AUDITOR", 4),
      ("ROLE_ADMIN", 5),
    ])
}

public struct User: Message {
  public var person: Person?
  /// What is typed to sign in; lower case.
  public var userName = ""
  public var roles: [Role] = []
  public var disabled = false
  public var createdAt: Timestamp?
  public var lastSignInAt: Timestamp?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.User",
    [
      .init(1, "person", .message(Person.self)), .init(2, "user_name", .string),
      .init(3, "roles", .enumeration(Role.self), .repeated), .init(4, "disabled", .bool),
      .init(5, "created_at", .message(Timestamp.self)), .init(6, "last_sign_in_at", .message(Timestamp.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &person)
    case 2: userName = try reader.string()
    case 3: try reader.enumerations(into: &roles)
    case 4: disabled = try reader.bool()
    case 5: try reader.message(into: &createdAt)
    case 6: try reader.message(into: &lastSignInAt)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.message(1, person)
    writer.string(2, userName)
    writer.enumerations(3, roles)
    writer.bool(4, disabled)
    writer.message(5, createdAt)
    writer.message(6, lastSignInAt)
  }
}

public struct SignInRequest: Message {
  public var userName = ""
  public var password = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.SignInRequest", [.init(1, "user_name", .string), .init(2, "password", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: userName = try reader.string()
    case 2: password = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, userName)
    writer.string(2, password)
  }
}

public struct Session: Message {
  /// A JWT (RFC 7519), EdDSA; sent as 'authorization: Bearer ...'.
  public var accessToken = ""
  public var accessTokenExpiresAt: Timestamp?
  /// Opaque; good for one use.
  public var refreshToken = ""
  public var refreshTokenExpiresAt: Timestamp?
  public var user: User?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Session",
    [
      .init(1, "access_token", .string), .init(2, "access_token_expires_at", .message(Timestamp.self)),
      .init(3, "refresh_token", .string), .init(4, "refresh_token_expires_at", .message(Timestamp.self)),
      .init(5, "user", .message(User.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: accessToken = try reader.string()
    case 2: try reader.message(into: &accessTokenExpiresAt)
    case 3: refreshToken = try reader.string()
    case 4: try reader.message(into: &refreshTokenExpiresAt)
    case 5: try reader.message(into: &user)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, accessToken)
    writer.message(2, accessTokenExpiresAt)
    writer.string(3, refreshToken)
    writer.message(4, refreshTokenExpiresAt)
    writer.message(5, user)
  }
}

/// Each refresh token works once. One that is used twice was stolen: the whole session ends (RFC 9700 section 4.14).
public struct RefreshRequest: Message {
  public var refreshToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.RefreshRequest", [.init(1, "refresh_token", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: refreshToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, refreshToken) }
}

public struct SignOutRequest: Message {
  public var refreshToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.SignOutRequest", [.init(1, "refresh_token", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: refreshToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, refreshToken) }
}

public struct SignOutResponse: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.SignOutResponse", [])
}

public struct WhoAmIRequest: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.WhoAmIRequest", [])
}

public struct ChangePasswordRequest: Message {
  public var currentPassword = ""
  public var newPassword = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ChangePasswordRequest", [.init(1, "current_password", .string), .init(2, "new_password", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: currentPassword = try reader.string()
    case 2: newPassword = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, currentPassword)
    writer.string(2, newPassword)
  }
}

public struct ChangePasswordResponse: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.ChangePasswordResponse", [])
}

public struct GetKeysRequest: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.GetKeysRequest", [])
}

public struct KeySet: Message {
  /// A JWK Set document.
  public var jwksJSON = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor("fileferry.v1.KeySet", [.init(1, "jwks_json", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: jwksJSON = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, jwksJSON) }
}

public struct IssueServiceTokenRequest: Message {
  /// "transfer"
  public var service = ""
  /// That service's own.
  public var secret = ""
  /// A person's id; empty for the service itself.
  public var onBehalfOf = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.IssueServiceTokenRequest",
    [.init(1, "service", .string), .init(2, "secret", .string), .init(3, "on_behalf_of", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: service = try reader.string()
    case 2: secret = try reader.string()
    case 3: onBehalfOf = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, service)
    writer.string(2, secret)
    writer.string(3, onBehalfOf)
  }
}

public struct AccessToken: Message {
  public var accessToken = ""
  public var expiresAt: Timestamp?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.AccessToken",
    [.init(1, "access_token", .string), .init(2, "expires_at", .message(Timestamp.self))])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: accessToken = try reader.string()
    case 2: try reader.message(into: &expiresAt)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, accessToken)
    writer.message(2, expiresAt)
  }
}
