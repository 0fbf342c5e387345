// Checks access tokens: signature, algorithm, issuer, audience and times. Keys come from auth when they are first
// needed and again when a token names an unknown one; what was verified once is remembered until it expires.
import DocumentStore
import FerryAPI
import FoundationEssentials
import JWTKit
import Logging
import RPC
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

public final class TokenVerifier: Sendable {
  /// How far another machine's clock may be ahead; for `nbf` and `iat`, never for `exp`.
  public static let leeway: UnixMilliseconds = 30_000
  /// Keys are asked for at most this often...
  public static let refreshInterval: UnixMilliseconds = 5000
  /// ... or this often as long as there are none, because auth was not up yet.
  public static let firstKeysInterval: UnixMilliseconds = 250
  /// Keys older than this are asked for again, so that a withdrawn one goes.
  public static let maximumKeyAge: UnixMilliseconds = 300_000

  /// Returns a JWK Set document (RFC 7517 section 5).
  public typealias FetchKeys = @Sendable () async throws(RPCError) -> String

  private struct Keys {
    var collection = JWTKeyCollection()
    var ids: Set<String> = []
    var fetchedAt: UnixMilliseconds?
    var triedAt: UnixMilliseconds?
    var failure: RPCError?
    var refresh: Task<Void, Never>?
  }

  private struct Header: Decodable {
    var alg: String?
    var kid: String?
    var crit: [String]?
  }

  private let keys = Mutex(Keys())
  private let verified: VerifiedTokens
  private let fetchKeys: FetchKeys
  private let now: @Sendable () -> UnixMilliseconds
  private let logger: Logger

  /// - Parameter now: the wall clock that decides what has expired.
  public init(
    logger: Logger, now: @escaping @Sendable () -> UnixMilliseconds = SystemTime.now, fetchKeys: @escaping FetchKeys
  ) {
    self.logger = logger
    self.now = now
    self.fetchKeys = fetchKeys
    verified = VerifiedTokens()
  }

  /// The caller that a token speaks for.
  /// - Throws: UNAUTHENTICATED if it is not a valid token; UNAVAILABLE if auth's keys cannot be had to tell.
  public func verify(_ token: String) async throws(RPCError) -> Caller { try await verifiedCaller(token).caller }

  func verifiedCaller(_ token: String) async throws(RPCError) -> VerifiedCaller {
    var text = token
    if let known = text.withUTF8({ verified.find(UnsafeRawBufferPointer($0)) }) {
      if now() < known.caller.expiresAt { return known }
      throw Self.refusal("it has expired")
    }
    guard token.utf8.count <= AccessTokenClaims.maximumTokenSize else { throw Self.refusal("it is too long") }
    let parts = token.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, let headerBytes = Base64URL.decode(parts[0]), Base64URL.decode(parts[1]) != nil,
      Base64URL.decode(parts[2])?.count == 64
    else { throw Self.refusal("it is malformed") }
    let header: Header
    do { header = try JSONDecoder().decode(Header.self, from: Data(headerBytes)) } catch {
      throw Self.refusal("its header cannot be read")
    }
    // RFC 8725 section 3.1: the verifier names the algorithm, never the token. Critical extensions: none are known
    // here.
    guard header.alg == "EdDSA", header.crit == nil else { throw Self.refusal("its algorithm is not EdDSA") }
    guard let keyID = header.kid else { throw Self.refusal("it names no key") }
    let collection = try await collection(with: keyID)
    let claims: AccessTokenClaims
    do { claims = try await collection.verify(token, as: AccessTokenClaims.self) } catch {
      throw Self.refusal("its signature or its content is not valid")
    }
    let caller = try Self.caller(claims, token: token, now: now())
    return verified.remember(token, caller)
  }

  /// The caller of a call whose bearer token was verified before and holds; nil says that it has yet to be looked at.
  func known(authorizationOf context: CallContext) -> VerifiedCaller? {
    let found: VerifiedCaller?? = context.withHeader("authorization") { value in
      guard value.count > Self.scheme.utf8CodeUnitCount, value.starts(with: Self.scheme.bytes) else { return nil }
      return verified.find(UnsafeRawBufferPointer(rebasing: value[Self.scheme.utf8CodeUnitCount...]))
    }
    guard let known = found ?? nil, now() < known.caller.expiresAt else { return nil }
    return known
  }

  /// As clients write it; other spellings are allowed and take the longer way.
  private static let scheme: StaticString = "Bearer "

  private static func caller(
    _ claims: AccessTokenClaims, token: String, now: UnixMilliseconds
  ) throws(RPCError) -> Caller {
    guard claims.iss == AccessTokenClaims.issuer else { throw refusal("it is of another issuer") }
    guard claims.aud == AccessTokenClaims.audience else { throw refusal("it is for another audience") }
    let (expiresAt, overflow) = claims.exp.multipliedReportingOverflow(by: 1000)
    guard !overflow, now < expiresAt else { throw refusal("it has expired") }
    let latest = (now + leeway) / 1000
    guard claims.iat <= latest, claims.nbf ?? 0 <= latest else { throw refusal("it is not valid yet") }
    guard !claims.sub.isEmpty else { throw refusal("it names nobody") }
    let actor = claims.act?.sub
    guard actor?.hasPrefix(Caller.servicePrefix) ?? true else { throw refusal("its actor is no service") }
    return Caller(
      id: claims.sub, name: claims.name, email: claims.email, roles: Set(claims.roles.compactMap(Role.init(claim:))),
      actor: actor.map { String($0.dropFirst(Caller.servicePrefix.count)) }, sessionID: claims.sid,
      expiresAt: expiresAt, rawToken: token)
  }

  static func refusal(_ why: String) -> RPCError { .unauthenticated("The access token was refused: \(why).") }

  // MARK: Keys

  private func collection(with keyID: String) async throws(RPCError) -> JWTKeyCollection {
    let (known, refresh) = keys.withLock { keys in
      let isKnown = keys.ids.contains(keyID)
      let isStale = keys.fetchedAt.map { now() - $0 > Self.maximumKeyAge } ?? true
      if !isKnown || isStale { startRefreshIfDue(&keys) }
      return (isKnown ? keys.collection : nil, keys.refresh)
    }
    // Stale keys still serve while new ones are on their way.
    if let known { return known }
    await refresh?.value
    let (found, failure) = keys.withLock { keys in
      (keys.ids.contains(keyID) ? keys.collection : nil, keys.failure)
    }
    if let found { return found }
    if failure != nil {
      throw .unavailable("The access token can't be checked now: the sign-in service does not answer.")
    }
    throw Self.refusal("its key is not known")
  }

  private func startRefreshIfDue(_ keys: inout Keys) {
    guard keys.refresh == nil else { return }
    let interval = keys.fetchedAt == nil ? Self.firstKeysInterval : Self.refreshInterval
    // A clock that was set back must not keep the keys from coming.
    if let triedAt = keys.triedAt, (triedAt...(triedAt + interval - 1)).contains(now()) { return }
    keys.triedAt = now()
    keys.refresh = Task { await refresh() }
  }

  private func refresh() async {
    var outcome: Result<(JWTKeyCollection, Set<String>), RPCError>
    do throws(RPCError) {
      outcome = .success(try await Self.read(try await fetchKeys()))
    } catch {
      outcome = .failure(error)
      logger.warning("the keys of access tokens could not be fetched", metadata: ["error": "\(error)"])
    }
    let isKeyWithdrawn = keys.withLock { keys in
      keys.refresh = nil
      switch outcome {
      case .failure(let error):
        keys.failure = error
        return false
      case .success(let (collection, ids)):
        defer { (keys.collection, keys.ids, keys.fetchedAt, keys.failure) = (collection, ids, now(), nil) }
        return !keys.ids.isSubset(of: ids)
      }
    }
    if isKeyWithdrawn { verified.forgetAll() }
  }

  /// Only Ed25519 keys count: no other key may ever check a token here, whatever the document holds.
  private static func read(_ json: String) async throws(RPCError) -> (JWTKeyCollection, Set<String>) {
    let set: JWKS
    do { set = try JSONDecoder().decode(JWKS.self, from: Data(json.utf8)) } catch {
      throw RPCError(.internal, "the key set of the sign-in service cannot be read")
    }
    let collection = JWTKeyCollection()
    var ids: Set<String> = []
    for key in set.keys where key.keyType == .octetKeyPair {
      guard let id = key.keyIdentifier?.string, let x = key.x, key.curve?.rawValue == EdDSACurve.ed25519.rawValue
      else { continue }
      let publicKey: EdDSA.PublicKey
      do { publicKey = try EdDSA.PublicKey(x: x, curve: .ed25519) } catch {
        throw RPCError(.internal, "the key \(id) of the sign-in service is not an Ed25519 key")
      }
      await collection.add(eddsa: publicKey, kid: JWKIdentifier(string: id))
      ids.insert(id)
    }
    return (collection, ids)
  }
}

/// Tokens that were found valid, by their bytes, in two generations: when the young one is full it becomes the old one, and
/// what nobody used meanwhile is dropped.
final class VerifiedTokens: Sendable {
  /// Of one generation; at most twice as many are held.
  static let generationSize = 512

  private struct State {
    /// By a hash of the token. Two tokens of one hash push each other out, and are then verified again.
    var young: [UInt64: VerifiedCaller] = [:]
    var old: [UInt64: VerifiedCaller] = [:]
  }
  private let state = Mutex(State())
  /// So that nobody can make tokens collide on purpose.
  private let seed = UInt64.random(in: .min ... .max)

  func find(_ token: UnsafeRawBufferPointer) -> VerifiedCaller? {
    let key = hash(token)
    return state.withLock { state in
      if let found = state.young[key] { return Self.isToken(of: found, token) ? found : nil }
      guard let found = state.old[key], Self.isToken(of: found, token) else { return nil }
      Self.remember(key, found, in: &state)
      return found
    }
  }

  @discardableResult
  func remember(_ token: String, _ caller: Caller) -> VerifiedCaller {
    var text = token
    let key = text.withUTF8 { hash(UnsafeRawBufferPointer($0)) }
    let verified = VerifiedCaller(caller)
    state.withLock { Self.remember(key, verified, in: &$0) }
    return verified
  }

  func forgetAll() { state.withLock { $0 = State() } }

  private static func remember(_ key: UInt64, _ caller: VerifiedCaller, in state: inout State) {
    if state.young.count >= generationSize {
      state.old = state.young
      state.young = [:]
    }
    state.young[key] = caller
  }

  /// The whole token counts, never its hash alone.
  private static func isToken(of caller: VerifiedCaller, _ token: UnsafeRawBufferPointer) -> Bool {
    var known = caller.caller.rawToken
    return known.withUTF8 { bytes in
      guard bytes.count == token.count, let mine = bytes.baseAddress, let theirs = token.baseAddress else { return false }
      return memcmp(mine, theirs, bytes.count) == 0
    }
  }

  /// Of the token's end, which is its signature: no two valid tokens share it, and nobody can choose it. Only valid tokens
  /// are remembered, so one made up to end like another finds that one, is not its equal, and is verified on its own.
  private func hash(_ token: UnsafeRawBufferPointer) -> UInt64 {
    var hash = seed ^ UInt64(token.count)
    var offset = max(0, token.count - Self.hashedBytes)
    while offset + 8 <= token.count {
      hash = (hash ^ token.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x9E37_79B9_7F4A_7C15
      hash ^= hash >> 29
      offset += 8
    }
    return hash
  }

  private static let hashedBytes = 64

}

extension StaticString {
  fileprivate var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount) }
}
