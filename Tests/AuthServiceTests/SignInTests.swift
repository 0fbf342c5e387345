// Signing in: passwords, their hashes, and who guesses them.
import CryptoExtras
import DocumentStore
import FerryAPI
import RPC
import ServiceKit
import Synchronization
import Testing

@testable import AuthService

/// A sign-in of "ada" with a wrong password.
private func guess(_ auth: TestAuth) async -> StatusCode {
  await code { () async throws(RPCError) in try await auth.signIn("ada", "wrong password") }
}

@Suite("Signing in")
struct SignInTests {
  @Test("the right password gives a session; the user name's case and surrounding spaces do not matter")
  func right() async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      let session = try await auth.signIn(" Ada ")
      let caller = try await auth.caller(session.accessToken)
      #expect(caller.id == session.user?.person?.id)
      #expect(caller.email == "ada@example.com")
      #expect(caller.roles == [.requester])
      #expect(caller.actor == nil)
      #expect(session.accessTokenExpiresAt?.unixMilliseconds == auth.clock.now + 15 * minute)
      #expect(session.refreshTokenExpiresAt?.unixMilliseconds == auth.clock.now + 12 * hour)
      #expect(session.user?.lastSignInAt?.unixMilliseconds == auth.clock.now)
    }
  }

  @Test("an unknown user is told the same as a wrong password, after the same work")
  func unknown() async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      let before = auth.passwords.computations
      let wrong = await failure { () async throws(RPCError) in try await auth.signIn("ada", "wrong password") }
      let afterWrong = auth.passwords.computations
      let unknown = await failure { () async throws(RPCError) in try await auth.signIn("eve", "wrong password") }
      let impossible = await failure { () async throws(RPCError) in try await auth.signIn("É", "wrong password") }
      #expect(wrong?.code == .unauthenticated)
      #expect(wrong?.told == unknown?.told && wrong?.message == unknown?.message && unknown?.code == .unauthenticated)
      #expect(wrong?.told == impossible?.told && impossible?.code == .unauthenticated)
      #expect(afterWrong - before == 1)
      #expect(auth.passwords.computations - afterWrong == 2)
    }
  }

  @Test("a disabled user is told so, and only with the right password")
  func disabled() async throws {
    try await TestAuth.run { auth in
      let ada = try await auth.create("ada")
      _ = try await auth.update(ada) { $0.disabled = true }
      #expect(await code { () async throws(RPCError) in try await auth.signIn("ada") } == .permissionDenied)
      #expect(await guess(auth) == .unauthenticated)
    }
  }

  @Test("failed sign-ins are slowed down for one name, with the wait in words, until one succeeds")
  func limited() async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      for _ in 0..<SignInLimiter.freeFailures {
        #expect(await guess(auth) == .unauthenticated)
      }
      let refused = await failure { () async throws(RPCError) in try await auth.signIn("ada") }
      #expect(refused?.code == .resourceExhausted)
      #expect(refused?.told?.nextStep == "Try again in 1 second.")
      // Other names are not held up.
      _ = try await auth.signIn("admin", TestAuth.adminPassword)
      auth.clock.advance(1000)
      #expect(await guess(auth) == .unauthenticated)
      let second = await failure { () async throws(RPCError) in try await auth.signIn("ada") }
      #expect(second?.told?.nextStep == "Try again in 2 seconds.")
      auth.clock.advance(2000)
      _ = try await auth.signIn("ada")
      #expect(await guess(auth) == .unauthenticated)
    }
  }

  @Test("tries at the same moment count, and the table of names is bounded")
  func limiter() async throws {
    let clock = TestClock()
    let limiter = SignInLimiter(now: { clock.now })
    let admitted = (0..<100).count { _ in
      do throws(RPCError) {
        try limiter.begin("ada")
        return true
      } catch { return false }
    }
    #expect(admitted == SignInLimiter.freeFailures)
    #expect(SignInLimiter.delay(after: 1000) == SignInLimiter.maximumDelay)
    for number in 0..<(SignInLimiter.maximumNames + 100) { try limiter.begin("name \(number)") }
    #expect(limiter.names == SignInLimiter.maximumNames)
    clock.advance(SignInLimiter.forgottenAfter)
    try limiter.begin("ada")
  }

  @Test("passwords: at least 12 characters, at most 1024 bytes")
  func rules() async throws {
    let cases: [(String, StatusCode)] = [
      (String(repeating: "x", count: 11), .invalidArgument), (String(repeating: "x", count: 12), .ok),
      (String(repeating: "é", count: 11), .invalidArgument), (String(repeating: "é", count: 12), .ok),
      (String(repeating: "x", count: 1024), .ok), (String(repeating: "x", count: 1025), .invalidArgument),
      (String(repeating: "é", count: 513), .invalidArgument),
    ]
    for (password, expected) in cases {
      let result = await code { () async throws(RPCError) in try Passwords.checkRules(password) }
      #expect(result == expected, "\(password.count) characters")
    }
    try await TestAuth.run { auth in
      let long = await failure { () async throws(RPCError) in
        try await auth.signIn("ada", String(repeating: "x", count: 1025))
      }
      #expect(long?.code == .invalidArgument)
    }
  }

  @Test("the stored hash is scrypt as RFC 7914 has it, with its own salt and cost beside it")
  func scrypt() async throws {
    // RFC 7914 section 12, third vector, through the same library call.
    let key = try KDF.Scrypt.deriveKey(
      from: Array("pleaseletmein".utf8), salt: Array("SodiumChloride".utf8), outputByteCount: 32, rounds: 16384,
      blockSize: 8, parallelism: 1)
    let expected = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    let bytes = key.withUnsafeBytes { Array($0) }
    #expect(bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() == expected)

    let passwords = Passwords(cost: .init(rounds: 1 << 10, blockSize: 8, parallelism: 1))
    let first = try await passwords.hash("the same password")
    let second = try await passwords.hash("the same password")
    #expect(first.salt != second.salt && first.hash != second.hash)
    #expect(first.rounds == 1024 && first.salt.count == 16 && first.hash.count == 32)
    // Another cost later does not lock anybody out.
    let later = Passwords(cost: .init(rounds: 16, blockSize: 1, parallelism: 1))
    #expect(try await later.matches("the same password", first))
    #expect(try await !later.matches("another password", first))
    #expect(try await !later.matches("the same password", nil))
    #expect(Passwords.Cost.standard == .init(rounds: 1 << 15, blockSize: 8, parallelism: 1))
  }

  @Test("more sign-ins at once than may wait are refused, the others are answered")
  func overloaded() async throws {
    let passwords = Passwords(cost: .init(rounds: 1 << 12, blockSize: 8, parallelism: 1))
    let codes = await withTaskGroup(of: StatusCode.self) { group in
      for _ in 0..<200 {
        group.addTask { await code { () async throws(RPCError) in try await passwords.hash("x") } }
      }
      return await group.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }
    #expect((codes[.ok] ?? 0) >= Passwords.maximumWaiting)
    #expect((codes[.ok] ?? 0) + (codes[.resourceExhausted] ?? 0) == 200)
    #expect(codes[.resourceExhausted] ?? 0 > 0)
  }

  @Test("what whoever went away asked for is not computed")
  func cancelled() async throws {
    let passwords = Passwords(cost: .init(rounds: 1 << 14, blockSize: 8, parallelism: 1))
    let first = Task { await code { () async throws(RPCError) in try await passwords.hash("x") } }
    let tasks = (0..<20).map { _ in
      Task { await code { () async throws(RPCError) in try await passwords.hash("x") } }
    }
    for task in tasks { task.cancel() }
    #expect(await first.value == .ok)
    for task in tasks { _ = await task.value }
    // Those that were cancelled before their turn; the one under way at that moment goes to its end.
    #expect(passwords.computations <= 3)
  }

  @Test("no log line holds a password or a token")
  func silent() async throws {
    try await TestAuth.run { auth in
      let ada = try await auth.create("ada")
      let session = try await auth.refresh(try await auth.signIn("ada"))
      _ = await guess(auth)
      _ = try await auth.update(ada) { $0.password = "another password" }
      let log = auth.log.all.joined()
      #expect(log.contains("signed in") && log.contains("user changed"))
      for secret in [
        TestAuth.password, TestAuth.adminPassword, "wrong password", "another password", session.accessToken,
        session.refreshToken,
      ] { #expect(!log.contains(secret)) }
    }
  }
}
