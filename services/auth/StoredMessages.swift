// What auth keeps in its store: protobuf messages that never leave this service.
import DocumentStore
import FerryAPI
import ProtoWire
import ServiceKit

/// A password as scrypt left it (RFC 7914), with all that is needed to do it again.
struct StoredPassword: Message {
  /// The cost, N.
  var rounds: Int64 = 0
  /// r
  var blockSize: Int64 = 0
  /// p
  var parallelism: Int64 = 0
  var salt: [UInt8] = []
  var hash: [UInt8] = []
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "fileferry.auth.StoredPassword",
    [
      .init(1, "rounds", .int64), .init(2, "block_size", .int64), .init(3, "parallelism", .int64),
      .init(4, "salt", .bytes), .init(5, "hash", .bytes),
    ])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: rounds = try reader.int64()
    case 2: blockSize = try reader.int64()
    case 3: parallelism = try reader.int64()
    case 4: salt = try reader.bytes()
    case 5: hash = try reader.bytes()
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.int64(1, rounds)
    writer.int64(2, blockSize)
    writer.int64(3, parallelism)
    writer.bytes(4, salt)
    writer.bytes(5, hash)
  }
}

struct StoredUser: Message {
  var user: User?
  var password: StoredPassword?
  /// Raised when the password changes or the user is disabled: sessions of an earlier one are over.
  var generation: Int64 = 0
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "fileferry.auth.StoredUser",
    [
      .init(1, "user", .message(User.self)), .init(2, "password", .message(StoredPassword.self)),
      .init(3, "generation", .int64),
    ])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &user)
    case 2: try reader.message(into: &password)
    case 3: generation = try reader.int64()
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.message(1, user)
    writer.message(2, password)
    writer.int64(3, generation)
  }
}

extension StoredUser {
  /// Somebody who is new here.
  static func new(
    _ userName: String, name: String, email: String = "", roles: [Role], at now: UnixMilliseconds
  ) -> StoredUser {
    .with {
      $0.user = .with {
        $0.person = .with {
          $0.id = RandomID.make(prefix: "usr_")
          $0.name = name
          $0.email = email
        }
        $0.userName = userName
        $0.roles = roles
        $0.createdAt = Timestamp(unixMilliseconds: now)
      }
    }
  }

  /// The user as told to others; empty only in a damaged store.
  var profile: User {
    get { user ?? User() }
    set { user = newValue }
  }
  var id: String { profile.person?.id ?? "" }
  var isEnabledAdmin: Bool { !profile.disabled && profile.roles.contains(.admin) }
}

/// The enabled administrators: the document that keeps the last one from going.
struct StoredAdministrators: Message {
  var userIDs: [String] = []
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "fileferry.auth.StoredAdministrators", [.init(1, "user_ids", .string, .repeated)])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: userIDs.append(try reader.string())
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) { writer.strings(1, userIDs) }
}

struct StoredSession: Message {
  var userID = ""
  /// SHA-256 of the one refresh token that works.
  var tokenHash: [UInt8] = []
  /// Milliseconds since 1970, as all times here. The session ends then at the latest.
  var endsAt: Int64 = 0
  /// The user's generation at sign-in.
  var generation: Int64 = 0
  /// How often it was refreshed.
  var refreshes: Int64 = 0
  /// The refresh token is good until then.
  var refreshableUntil: Int64 = 0
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "fileferry.auth.StoredSession",
    [
      .init(1, "user_id", .string), .init(2, "token_hash", .bytes), .init(3, "ends_at", .int64),
      .init(4, "generation", .int64), .init(5, "refreshes", .int64), .init(6, "refreshable_until", .int64),
    ])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: userID = try reader.string()
    case 2: tokenHash = try reader.bytes()
    case 3: endsAt = try reader.int64()
    case 4: generation = try reader.int64()
    case 5: refreshes = try reader.int64()
    case 6: refreshableUntil = try reader.int64()
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.string(1, userID)
    writer.bytes(2, tokenHash)
    writer.int64(3, endsAt)
    writer.int64(4, generation)
    writer.int64(5, refreshes)
    writer.int64(6, refreshableUntil)
  }
}

/// A single sign-on under way. It is kept by whoever began it, sealed.
struct StoredFlow: Message {
  var providerID = ""
  /// Comes back from the browser (RFC 6749 section 10.12).
  var state = ""
  /// Comes back in the ID token (OpenID Connect Core 1.0 section 3.1.2.1).
  var nonce = ""
  /// Proves that the code is ours (RFC 7636).
  var verifier = ""
  var redirectURI = ""
  var expiresAt: Int64 = 0
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "fileferry.auth.StoredFlow",
    [
      .init(1, "provider_id", .string), .init(2, "state", .string), .init(3, "nonce", .string),
      .init(4, "verifier", .string), .init(5, "redirect_uri", .string), .init(6, "expires_at", .int64),
    ])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: providerID = try reader.string()
    case 2: state = try reader.string()
    case 3: nonce = try reader.string()
    case 4: verifier = try reader.string()
    case 5: redirectURI = try reader.string()
    case 6: expiresAt = try reader.int64()
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.string(1, providerID)
    writer.string(2, state)
    writer.string(3, nonce)
    writer.string(4, verifier)
    writer.string(5, redirectURI)
    writer.int64(6, expiresAt)
  }
}
