// auth.proto, second part: the administration of people, the file's descriptor and the client stub.
import ProtoWire
import RPC

public struct CreateUserRequest: Message {
  public var userName = ""
  public var name = ""
  public var email = ""
  public var roles: [Role] = []
  public var password = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.CreateUserRequest",
    [
      .init(1, "user_name", .string), .init(2, "name", .string), .init(3, "email", .string),
      .init(4, "roles", .enumeration(Role.self), .repeated), .init(5, "password", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: userName = try reader.string()
    case 2: name = try reader.string()
    case 3: email = try reader.string()
    case 4: try reader.enumerations(into: &roles)
    case 5: password = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, userName)
    writer.string(2, name)
    writer.string(3, email)
    writer.enumerations(4, roles)
    writer.string(5, password)
  }
}

/// Absent fields stay as they are; roles are replaced when `replaceRoles` is set.
public struct UpdateUserRequest: Message {
  public var userID = ""
  public var name: String?
  public var email: String?
  public var disabled: Bool?
  public var password: String?
  public var replaceRoles = false
  public var roles: [Role] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.UpdateUserRequest",
    [
      .init(1, "user_id", .string), .init(2, "name", .string, .optional), .init(3, "email", .string, .optional),
      .init(4, "disabled", .bool, .optional), .init(5, "password", .string, .optional),
      .init(6, "replace_roles", .bool), .init(7, "roles", .enumeration(Role.self), .repeated),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: userID = try reader.string()
    case 2: name = try reader.string()
    case 3: email = try reader.string()
    case 4: disabled = try reader.bool()
    case 5: password = try reader.string()
    case 6: replaceRoles = try reader.bool()
    case 7: try reader.enumerations(into: &roles)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, userID)
    writer.optional(2, string: name)
    writer.optional(3, string: email)
    writer.optional(4, bool: disabled)
    writer.optional(5, string: password)
    writer.bool(6, replaceRoles)
    writer.enumerations(7, roles)
  }
}

public struct ListUsersRequest: Message {
  public var pageSize: Int32 = 0
  public var pageToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListUsersRequest", [.init(1, "page_size", .int32), .init(2, "page_token", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: pageSize = try reader.int32()
    case 2: pageToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.int32(1, pageSize)
    writer.string(2, pageToken)
  }
}

public struct ListUsersResponse: Message {
  public var users: [User] = []
  public var nextPageToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListUsersResponse",
    [.init(1, "users", .message(User.self), .repeated), .init(2, "next_page_token", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &users)
    case 2: nextPageToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.messages(1, users)
    writer.string(2, nextPageToken)
  }
}

extension FerryFiles {
  public static let auth = FileDescriptor(
    "fileferry/v1/auth.proto", package: package, dependencies: [common, WellKnownFiles.timestamp],
    messages: [
      User.descriptor, SignInRequest.descriptor, Session.descriptor, RefreshRequest.descriptor,
      SignOutRequest.descriptor, SignOutResponse.descriptor, WhoAmIRequest.descriptor,
      ChangePasswordRequest.descriptor, ChangePasswordResponse.descriptor, GetKeysRequest.descriptor,
      KeySet.descriptor, IssueServiceTokenRequest.descriptor, AccessToken.descriptor,
      IdentityProvider.descriptor, ListIdentityProvidersRequest.descriptor, ListIdentityProvidersResponse.descriptor,
      BeginSingleSignOnRequest.descriptor, BeginSingleSignOnResponse.descriptor,
      CompleteSingleSignOnRequest.descriptor, CreateUserRequest.descriptor,
      UpdateUserRequest.descriptor, ListUsersRequest.descriptor, ListUsersResponse.descriptor,
    ],
    enums: [Role.descriptor, IdentityProviderKind.descriptor], services: [Auth.service])
}

extension Auth {
  public struct Client: Sendable {
    public let channel: ClientChannel
    public init(_ channel: ClientChannel) { self.channel = channel }

    public func signIn(
      _ request: SignInRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Session {
      try await channel.unary(Auth.signIn, request, options)
    }
    public func refresh(
      _ request: RefreshRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Session {
      try await channel.unary(Auth.refresh, request, options)
    }
    public func getKeys(
      _ request: GetKeysRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> KeySet {
      try await channel.unary(Auth.getKeys, request, options)
    }
    public func issueServiceToken(
      _ request: IssueServiceTokenRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> AccessToken {
      try await channel.unary(Auth.issueServiceToken, request, options)
    }
    public func listIdentityProviders(
      _ request: ListIdentityProvidersRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListIdentityProvidersResponse {
      try await channel.unary(Auth.listIdentityProviders, request, options)
    }
    public func beginSingleSignOn(
      _ request: BeginSingleSignOnRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> BeginSingleSignOnResponse {
      try await channel.unary(Auth.beginSingleSignOn, request, options)
    }
    public func completeSingleSignOn(
      _ request: CompleteSingleSignOnRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Session {
      try await channel.unary(Auth.completeSingleSignOn, request, options)
    }
    public func signOut(
      _ request: SignOutRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> SignOutResponse {
      try await channel.unary(Auth.signOut, request, options)
    }
    public func whoAmI(
      _ request: WhoAmIRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> User {
      try await channel.unary(Auth.whoAmI, request, options)
    }
    public func changePassword(
      _ request: ChangePasswordRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ChangePasswordResponse {
      try await channel.unary(Auth.changePassword, request, options)
    }
    public func createUser(
      _ request: CreateUserRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> User {
      try await channel.unary(Auth.createUser, request, options)
    }
    public func updateUser(
      _ request: UpdateUserRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> User {
      try await channel.unary(Auth.updateUser, request, options)
    }
    public func listUsers(
      _ request: ListUsersRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListUsersResponse {
      try await channel.unary(Auth.listUsers, request, options)
    }
  }
}
