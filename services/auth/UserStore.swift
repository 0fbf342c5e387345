// Users in the document store: one partition, so that a user, its name and the list of administrators change together
// or not at all. Who may change what is AuthService's affair; that the last administrator stays is kept here, by the
// write itself.
import DocumentStore
import FerryAPI
import Logging
import ProtoWire
import RPC
import ServiceKit

struct UserStore: Sendable {
  static let partition = "users"
  /// A change is tried again this often when another one came in between.
  static let maximumAttempts = 8
  static let maximumPageSize = 200
  static let defaultPageSize = 50

  let store: any DocumentStore
  let logger: Logger?

  private static func userKey(_ id: String) -> String { "id/\(id)" }
  private static func nameKey(_ name: String) -> String { "name/\(name)" }
  private static func identityKey(_ identity: String) -> String { "identity/\(identity)" }
  private static let administratorsKey = "administrators"

  struct Found: Sendable {
    var user: StoredUser
    var version: DocumentVersion
  }

  // MARK: Reading

  func find(id: String) async throws(RPCError) -> Found? {
    // What comes from outside may be no key at all.
    guard !id.isEmpty, id.utf8.count <= 128, !id.utf8.contains(0) else { return nil }
    guard let document = try await get(Self.userKey(id)) else { return nil }
    return Found(user: try decode(document), version: document.version)
  }

  func find(name: String) async throws(RPCError) -> Found? {
    guard let document = try await get(Self.nameKey(name)) else { return nil }
    return try await find(id: String(decoding: document.body, as: UTF8.self))
  }

  /// By what an identity provider knows the person as: `SingleSignOn.identity`.
  func find(identity: String) async throws(RPCError) -> Found? {
    guard let document = try await get(Self.identityKey(identity)) else { return nil }
    return try await find(id: String(decoding: document.body, as: UTF8.self))
  }

  func hasAdministrators() async throws(RPCError) -> Bool { try await get(Self.administratorsKey) != nil }

  /// In the order they were made.
  func list(limit: Int, after token: String) async throws(RPCError) -> (users: [StoredUser], next: String) {
    let page: DocumentPage
    do throws(DocumentStoreError) {
      page = try await store.query(
        partition: Self.partition, prefix: "id/", limit: limit,
        after: token.isEmpty ? nil : PageToken(rawValue: token))
    } catch { throw RPCError(error, logger: logger) }
    var users: [StoredUser] = []
    for document in page.documents { users.append(try decode(document)) }
    return (users, page.next?.rawValue ?? "")
  }

  private func get(_ sort: String) async throws(RPCError) -> Document? {
    do throws(DocumentStoreError) {
      return try await store.get(DocumentKey(partition: Self.partition, sort: sort))
    } catch { throw RPCError(error, logger: logger) }
  }

  private func decode<M: Message>(_ document: Document) throws(RPCError) -> M {
    do throws(WireError) { return try M(decoding: document.body) } catch {
      logger?.error("a stored record is damaged", metadata: ["key": "\(document.key)", "error": "\(error)"])
      throw .fault("A stored user is damaged.")
    }
  }

  // MARK: Writing

  /// - Parameter identity: what an identity provider knows the person as.
  /// - Throws: ALREADY_EXISTS if the name or the identity is taken.
  func create(_ user: StoredUser, identity: String? = nil) async throws(RPCError) {
    for _ in 0..<Self.maximumAttempts {
      var batch = Batch(partition: Self.partition)
      if let identity { batch.put(Self.identityKey(identity), Array(user.id.utf8), if: .absent) }
      batch.put(Self.userKey(user.id), user.encodedBytes(), if: .absent)
      batch.put(Self.nameKey(user.profile.userName), Array(user.id.utf8), if: .absent)
      if user.isEnabledAdmin { try await add(user, wasAdmin: false, to: &batch) }
      if try await commit(batch) { return }
      var isTaken = try await get(Self.nameKey(user.profile.userName)) != nil
      if !isTaken, let identity { isTaken = try await get(Self.identityKey(identity)) != nil }
      if isTaken {
        throw .told(
          .alreadyExists, "USER_NAME_TAKEN", "There is a user named \(user.profile.userName) already.",
          next: "Choose another user name.", subject: user.profile.userName)
      }
    }
    throw Self.busy
  }

  /// The first administrator: only where there never was one. False if there is.
  func createFirst(_ user: StoredUser) async throws(RPCError) -> Bool {
    var batch = Batch(partition: Self.partition)
    batch.put(Self.userKey(user.id), user.encodedBytes(), if: .absent)
    batch.put(Self.nameKey(user.profile.userName), Array(user.id.utf8), if: .absent)
    batch.put(Self.administratorsKey, StoredAdministrators.with { $0.userIDs = [user.id] }.encodedBytes(), if: .absent)
    return try await commit(batch)
  }

  /// Reads, changes and writes a user, again if somebody else wrote in between.
  @discardableResult
  func change(
    id: String, _ body: (inout StoredUser) throws(RPCError) -> Void
  ) async throws(RPCError) -> StoredUser {
    for _ in 0..<Self.maximumAttempts {
      guard let found = try await find(id: id) else {
        throw .notFound("There is no user \(id).", next: "List the users to see their ids.", subject: id)
      }
      var user = found.user
      try body(&user)
      if user == found.user { return user }
      var batch = Batch(partition: Self.partition)
      batch.put(Self.userKey(id), user.encodedBytes(), if: .version(found.version))
      if user.isEnabledAdmin != found.user.isEnabledAdmin {
        try await add(user, wasAdmin: found.user.isEnabledAdmin, to: &batch)
      }
      if try await commit(batch) { return user }
    }
    throw Self.busy
  }

  /// Adds the new list of administrators to a batch, under the condition that nobody changes it meanwhile.
  private func add(_ user: StoredUser, wasAdmin: Bool, to batch: inout Batch) async throws(RPCError) {
    let document = try await get(Self.administratorsKey)
    var list = StoredAdministrators()
    if let document { list = try decode(document) }
    list.userIDs.removeAll { $0 == user.id }
    if user.isEnabledAdmin { list.userIDs.append(user.id) }
    guard !list.userIDs.isEmpty else {
      throw .precondition(
        "\(user.profile.userName) is the last administrator and can't be disabled or lose the role.",
        next: "Make another user an administrator first.", problem: "LAST_ADMINISTRATOR")
    }
    batch.put(
      Self.administratorsKey, list.encodedBytes(), if: document.map { .version($0.version) } ?? .absent)
  }

  /// False if a condition did not hold.
  private func commit(_ batch: Batch) async throws(RPCError) -> Bool {
    do throws(DocumentStoreError) {
      try await store.commit(batch)
      return true
    } catch {
      if error.conflictingKey != nil { return false }
      throw RPCError(error, logger: logger)
    }
  }

  private static let busy = RPCError.told(
    .aborted, "CONFLICT", "The user was changed by others again and again.", next: "Try again.", retryable: true)
}
