// Sessions and their refresh tokens. A token works once; whoever brings one that was used before ends the session,
// because it was stolen from one side or the other (RFC 9700 section 4.14.2). Each session is a partition: its record
// and the hashes of spent tokens. A token is "<session id>.<256 random bits>"; only its SHA-256 is kept.
import Crypto
import DocumentStore
import FerryAPI
import Logging
import ProtoWire
import RPC
import ServiceKit

struct Sessions: Sendable {
  /// A refresh token is good for so long after it was given.
  static let slide: UnixMilliseconds = 12 * 3600_000
  /// A session ends so long after sign-in, however often it is refreshed.
  static let maximumLifetime: UnixMilliseconds = 7 * 24 * 3600_000
  /// One a minute for seven days: bounds the spent tokens that are kept.
  static let maximumRefreshes: Int64 = 10_080
  private static let secretSize = 32
  private static let maximumTokenSize = 128
  private static let recordKey = "session"

  let store: any DocumentStore
  let logger: Logger?
  var now: @Sendable () -> UnixMilliseconds = SystemTime.now
  var random: RandomBytes = SystemRandom.bytes

  /// What a sign-in or a refresh gives.
  struct Grant: Sendable {
    var sessionID: String
    var refreshToken: String
    var expiresAt: UnixMilliseconds
  }

  // MARK: Life

  func open(for user: StoredUser) async throws(RPCError) -> Grant {
    let id = RandomID.make(prefix: "ses_")
    let (token, hash) = newToken(id)
    let session = StoredSession.with {
      $0.userID = user.id
      $0.tokenHash = hash
      $0.endsAt = now() + Self.maximumLifetime
      $0.generation = user.generation
      $0.refreshableUntil = now() + Self.slide
    }
    var batch = Batch(partition: Self.partition(id))
    batch.put(Self.recordKey, session.encodedBytes(), if: .absent, expiresAt: session.refreshableUntil)
    guard try await commit(batch) else { throw .fault("A session could not be opened.", next: "Try again.") }
    return Grant(sessionID: id, refreshToken: token, expiresAt: session.refreshableUntil)
  }

  /// Spends a refresh token for a new one.
  /// - Parameter user: finds who the session belongs to and checks that they may still have it.
  func refresh(
    _ token: String, user: (_ session: StoredSession) async throws(RPCError) -> StoredUser
  ) async throws(RPCError) -> (Grant, StoredUser) {
    guard let (id, hash) = Self.parse(token), let found = try await find(id) else { throw Self.over }
    guard ConstantTime.equal(hash, found.session.tokenHash) else {
      if try await isSpent(hash, of: id) {
        try await end(id)
        logger?.warning(
          "a spent refresh token was used again: its session was ended",
          metadata: ["session": .string(id), "user": .string(found.session.userID)])
      }
      throw Self.over
    }
    let owner: StoredUser
    do throws(RPCError) { owner = try await user(found.session) } catch {
      if error.code == .unauthenticated { try await end(id) }
      throw error
    }
    guard found.session.refreshes < Self.maximumRefreshes else {
      try await end(id)
      throw Self.over
    }
    let (newToken, newHash) = newToken(id)
    var session = found.session
    session.tokenHash = newHash
    session.refreshes += 1
    session.refreshableUntil = min(now() + Self.slide, session.endsAt)
    var batch = Batch(partition: Self.partition(id))
    batch.put(
      Self.recordKey, session.encodedBytes(), if: .version(found.version), expiresAt: session.refreshableUntil)
    batch.put(Self.spentKey(hash), [], expiresAt: session.endsAt)
    guard try await commit(batch) else {
      // Read as good, and spent by another call a moment later. Only who comes again with it ends the session.
      throw .told(
        .aborted, "REFRESHED_ELSEWHERE", "The session was refreshed by another call at the same moment.",
        next: "Use the tokens of that call's answer.")
    }
    return (Grant(sessionID: id, refreshToken: newToken, expiresAt: session.refreshableUntil), owner)
  }

  func end(_ id: String) async throws(RPCError) {
    guard Self.isID(id) else { return }
    var batch = Batch(partition: Self.partition(id))
    batch.delete(Self.recordKey)
    _ = try await commit(batch)
  }

  /// Ends the session a refresh token belongs to, if it is a real one of this user's; any other is left alone.
  func end(refreshToken: String, of userID: String) async throws(RPCError) {
    guard let (id, hash) = Self.parse(refreshToken), let found = try await find(id), found.session.userID == userID
    else { return }
    var isReal = ConstantTime.equal(hash, found.session.tokenHash)
    if !isReal { isReal = try await isSpent(hash, of: id) }
    if isReal { try await end(id) }
  }

  /// Lets a session go on after its user changed the password in it.
  func adopt(_ id: String, generation: Int64) async throws(RPCError) {
    for _ in 0..<UserStore.maximumAttempts {
      guard Self.isID(id), let found = try await find(id) else { return }
      var session = found.session
      session.generation = generation
      var batch = Batch(partition: Self.partition(id))
      batch.put(
        Self.recordKey, session.encodedBytes(), if: .version(found.version), expiresAt: session.refreshableUntil)
      if try await commit(batch) { return }
    }
  }

  // MARK: Records

  private func find(_ id: String) async throws(RPCError) -> (session: StoredSession, version: DocumentVersion)? {
    let document: Document?
    do throws(DocumentStoreError) {
      document = try await store.get(DocumentKey(partition: Self.partition(id), sort: Self.recordKey))
    } catch { throw RPCError(error, logger: logger) }
    guard let document else { return nil }
    let session: StoredSession
    do throws(WireError) { session = try StoredSession(decoding: document.body) } catch {
      logger?.error("a stored session is damaged", metadata: ["session": .string(id), "error": "\(error)"])
      throw .fault("The session's record is damaged.", next: "Sign in again.")
    }
    // The store's expiry says the same by its own clock; this one can be ruled by a test.
    return now() < session.refreshableUntil ? (session, document.version) : nil
  }

  private func isSpent(_ hash: [UInt8], of id: String) async throws(RPCError) -> Bool {
    do throws(DocumentStoreError) {
      return try await store.get(DocumentKey(partition: Self.partition(id), sort: Self.spentKey(hash))) != nil
    } catch { throw RPCError(error, logger: logger) }
  }

  private func commit(_ batch: Batch) async throws(RPCError) -> Bool {
    do throws(DocumentStoreError) {
      try await store.commit(batch)
      return true
    } catch {
      if error.conflictingKey != nil { return false }
      throw RPCError(error, logger: logger)
    }
  }

  // MARK: Tokens

  static let over = RPCError.unauthenticated("This session is over.")

  private static func partition(_ id: String) -> String { "session/\(id)" }
  private static func spentKey(_ hash: [UInt8]) -> String { "spent/\(Base64URL.encode(hash))" }

  private func newToken(_ id: String) -> (token: String, hash: [UInt8]) {
    let token = "\(id).\(Base64URL.encode(random(Self.secretSize)))"
    return (token, Self.hash(token))
  }

  private static func hash(_ token: String) -> [UInt8] { Array(SHA256.hash(data: Array(token.utf8))) }

  private static func parse(_ token: String) -> (id: String, hash: [UInt8])? {
    guard token.utf8.count <= maximumTokenSize, let dot = token.firstIndex(of: ".") else { return nil }
    let id = String(token[..<dot])
    return isID(id) ? (id, hash(token)) : nil
  }

  private static func isID(_ text: String) -> Bool {
    text.hasPrefix("ses_") && text.utf8.count == 30
      && text.utf8.dropFirst(4).allSatisfy {
        ($0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9")) || ($0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z"))
      }
  }
}
