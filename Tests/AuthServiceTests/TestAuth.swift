// An auth service in one process: its store in a folder of its own, its clock turned by the test, scrypt at its least
// cost.
import Crypto
import DocumentStore
import FerryAPI
import FoundationEssentials
import Logging
import RPC
import ServiceKit
import Synchronization
import Testing

@testable import AuthService

final class TestClock: Sendable {
  private let time = Mutex<Int64>(1_800_000_000_000)
  var now: Int64 { time.withLock { $0 } }
  func advance(_ milliseconds: Int64) { time.withLock { $0 += milliseconds } }
}

let minute: Int64 = 60_000
let hour: Int64 = 3_600_000

struct TestAuth {
  let folder: String
  let clock = TestClock()
  let store: SQLiteDocumentStore
  let log = LogLines()
  let passwords = Passwords(cost: .init(rounds: 16, blockSize: 1, parallelism: 1))
  let users: UserStore
  let provider: FakeIdentityProvider
  let service: AuthService
  let admin: Caller

  static let adminPassword = "correct horse battery"
  static let password = "twelve or more"

  /// Runs a test in a folder that is gone afterwards, with one administrator in the store.
  static func run(_ body: (TestAuth) async throws -> Void) async throws {
    try await withFolder { folder in
      let auth = try await TestAuth(folder: folder)
      do { try await body(auth) } catch {
        try await auth.store.close()
        throw error
      }
      try await auth.store.close()
    }
  }

  private init(folder: String) async throws {
    self.folder = folder
    let (clock, log) = (clock, log)
    let logger = Logger(label: "auth") { _ in
      JSONLogHandler(service: "auth", level: .debug, write: { log.add(String(decoding: $0, as: UTF8.self)) })
    }
    store = try SQLiteDocumentStore(path: "\(folder)/auth.sqlite", now: { clock.now })
    users = UserStore(store: store, logger: logger)
    _ = try PrivateFile.readOrMake("\(folder)/first", maximumSize: 100) { Array("\(Self.adminPassword)\n".utf8) }
    let first = FirstAdministrator(users: users, passwords: passwords, logger: logger, now: { clock.now })
    _ = try await first.makeIfMissing(passwordFile: "\(folder)/first")
    _ = try PrivateFile.readOrMake("\(folder)/transfer.secret", maximumSize: 100) { Array(Self.secret.utf8) }
    let provider = FakeIdentityProvider()
    self.provider = provider
    let singleSignOn = SingleSignOn(
      providers: [
        OpenIDProvider(FakeIdentityProvider.settings, logger: logger, now: { clock.now }) {
          (request) async throws(ExchangeError) in await provider.answer(request)
        }
      ], users: users, box: SecretBox(key: SystemRandom.bytes(32)), logger: logger, now: { clock.now })
    service = AuthService(
      users: users, passwords: passwords, sessions: Sessions(store: store, logger: logger, now: { clock.now }),
      tokens: AccessTokens(keys: try await SigningKeys(folder: folder), now: { clock.now }),
      secrets: ServiceSecrets(folder: folder), singleSignOn: singleSignOn, logger: logger, now: { clock.now })
    let user = try #require(try await users.find(name: "admin")).user
    admin = Caller(id: user.id, name: "Administrator", roles: [.admin])
  }

  static let secret = "0123456789abcdef0123456789abcdef0123456789a"

  func signIn(_ userName: String, _ password: String = Self.password) async throws(RPCError) -> Session {
    try await service.signIn(
      .with {
        $0.userName = userName
        $0.password = password
      })
  }

  func refresh(_ session: Session) async throws(RPCError) -> Session {
    try await service.refresh(.with { $0.refreshToken = session.refreshToken })
  }

  @discardableResult
  func create(_ userName: String, _ roles: [Role] = [.requester]) async throws(RPCError) -> User {
    try await service.createUser(
      .with {
        $0.userName = userName
        $0.name = "Name of \(userName)"
        $0.email = "\(userName)@example.com"
        $0.roles = roles
        $0.password = Self.password
      }, admin)
  }

  func update(_ user: User, by caller: Caller? = nil, _ fill: (inout UpdateUserRequest) -> Void) async throws(RPCError)
    -> User
  {
    var request = UpdateUserRequest()
    request.userID = user.person?.id ?? ""
    fill(&request)
    return try await service.updateUser(request, caller ?? admin)
  }

  /// The caller that a session's access token speaks for, as every service would find it.
  func caller(_ accessToken: String) async throws -> Caller {
    let (clock, keys) = (clock, service.tokens.keys)
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let verifier = TokenVerifier(logger: logger, now: { clock.now }) { () async throws(RPCError) in keys.jwksJSON }
    return try await verifier.verify(accessToken)
  }
}

final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])
  func add(_ line: String) { lines.withLock { $0.append(line) } }
  var all: [String] { lines.withLock { $0 } }
}

/// The status a call ends with.
func code(_ body: () async throws(RPCError) -> some Sendable) async -> StatusCode {
  do throws(RPCError) {
    _ = try await body()
    return .ok
  } catch { return error.code }
}

/// The error a call ends with.
func failure(_ body: () async throws(RPCError) -> some Sendable) async -> RPCError? {
  do throws(RPCError) {
    _ = try await body()
    return nil
  } catch { return error }
}

extension RPCError {
  var told: Problem? { details.first?.decoded(as: Problem.self) }
}

/// A folder of its own that is gone afterwards.
func withFolder(_ body: (String) async throws -> Void) async throws {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ferry-auth-\(RandomID.make())").path
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  // What is left behind in the system's folder for such things harms nobody.
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try await body(folder)
}
