// Refresh tokens: one use each, the end of a session when one is used twice, and what changes of a user do to sessions.
import DocumentStore
import FerryAPI
import RPC
import ServiceKit
import Testing

@testable import AuthService

@Suite("Sessions")
struct SessionTests {
  @Test("a refresh gives new tokens, and the new refresh token works")
  func rotate() async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      var session = try await auth.signIn("ada")
      var seen = Set([session.refreshToken])
      for _ in 0..<5 {
        auth.clock.advance(10 * minute)
        session = try await auth.refresh(session)
        #expect(seen.insert(session.refreshToken).inserted)
        #expect(try await auth.caller(session.accessToken).name == "Name of ada")
      }
    }
  }

  @Test("a refresh token that is used twice ends the whole session, also for whoever holds the newest one")
  func reuse() async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      let other = try await auth.signIn("ada")
      let first = try await auth.signIn("ada")
      let second = try await auth.refresh(first)
      let third = try await auth.refresh(second)
      #expect(await code { () async throws(RPCError) in try await auth.refresh(first) } == .unauthenticated)
      #expect(await code { () async throws(RPCError) in try await auth.refresh(third) } == .unauthenticated)
      #expect(auth.log.all.contains { $0.contains("used again") })
      // Another session of the same person goes on.
      _ = try await auth.refresh(other)
    }
  }

  @Test("a made-up refresh token does not end the session whose id it names")
  func forged() async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      let session = try await auth.signIn("ada")
      let id = try #require(session.refreshToken.split(separator: ".").first)
      for token in ["\(id).AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "\(id).", "\(id)", "", ".", "ses_x.y",
        String(repeating: "x", count: 10_000), "session/../users.x"]
      {
        let result = await code { () async throws(RPCError) in
          try await auth.service.refresh(.with { $0.refreshToken = token })
        }
        #expect(result == .unauthenticated, "\(token.prefix(60))")
      }
      _ = try await auth.refresh(session)
    }
  }

  @Test("of many refreshes with one token at the same moment exactly one gets new tokens", arguments: 0..<5)
  func concurrent(round: Int) async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      let session = try await auth.signIn("ada")
      let codes = await withTaskGroup(of: StatusCode.self) { group in
        for _ in 0..<20 {
          group.addTask { await code { () async throws(RPCError) in try await auth.refresh(session) } }
        }
        return await group.reduce(into: [StatusCode]()) { $0.append($1) }
      }
      #expect(codes.count { $0 == .ok } == 1)
      #expect(codes.allSatisfy { [.ok, .aborted, .unauthenticated].contains($0) })
    }
  }

  @Test("a session ends 12 hours after its last refresh")
  func slides() async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      var session = try await auth.signIn("ada")
      auth.clock.advance(12 * hour - 1)
      session = try await auth.refresh(session)
      auth.clock.advance(12 * hour)
      #expect(await code { () async throws(RPCError) in try await auth.refresh(session) } == .unauthenticated)
    }
  }

  @Test("a session ends 7 days after sign-in, however often it was refreshed")
  func maximum() async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      var session = try await auth.signIn("ada")
      let end = auth.clock.now + 7 * 24 * hour
      for _ in 0..<15 {
        auth.clock.advance(11 * hour)
        session = try await auth.refresh(session)
      }
      #expect(session.refreshTokenExpiresAt?.unixMilliseconds == end)
      auth.clock.advance(end - auth.clock.now)
      #expect(await code { () async throws(RPCError) in try await auth.refresh(session) } == .unauthenticated)
    }
  }

  @Test("signing out ends the session; another person's refresh token is left alone")
  func signOut() async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      try await auth.create("eve")
      let (ada, eve) = (try await auth.signIn("ada"), try await auth.signIn("eve"))
      let caller = try await auth.caller(ada.accessToken)
      _ = try await auth.service.signOut(.with { $0.refreshToken = eve.refreshToken }, caller)
      #expect(await code { () async throws(RPCError) in try await auth.refresh(ada) } == .unauthenticated)
      _ = try await auth.refresh(eve)
    }
  }

  @Test("a disabled user's session ends at its refresh, and stays ended when the user is enabled again")
  func disabled() async throws {
    try await TestAuth.run { auth in
      let ada = try await auth.create("ada")
      let session = try await auth.signIn("ada")
      _ = try await auth.update(ada) { $0.disabled = true }
      _ = try await auth.update(ada) { $0.disabled = false }
      #expect(await code { () async throws(RPCError) in try await auth.refresh(session) } == .unauthenticated)
      _ = try await auth.signIn("ada")
    }
  }

  @Test("changed roles are in the token from the next refresh on")
  func roles() async throws {
    try await TestAuth.run { auth in
      let ada = try await auth.create("ada")
      let session = try await auth.signIn("ada")
      _ = try await auth.update(ada) {
        $0.replaceRoles = true
        $0.roles = [.auditor]
      }
      let caller = try await auth.caller(try await auth.refresh(session).accessToken)
      #expect(caller.roles == [.auditor])
    }
  }

  @Test("changing the password ends all sessions but the one it was changed in")
  func password() async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      let (here, there) = (try await auth.signIn("ada"), try await auth.signIn("ada"))
      let caller = try await auth.caller(here.accessToken)
      let request = ChangePasswordRequest.with {
        $0.currentPassword = TestAuth.password
        $0.newPassword = "a new password"
      }
      _ = try await auth.service.changePassword(request, caller)
      _ = try await auth.refresh(here)
      #expect(await code { () async throws(RPCError) in try await auth.refresh(there) } == .unauthenticated)
      #expect(await code { () async throws(RPCError) in try await auth.signIn("ada") } == .unauthenticated)
      _ = try await auth.signIn("ada", "a new password")
      let wrong = await code { () async throws(RPCError) in try await auth.service.changePassword(request, caller) }
      #expect(wrong == .permissionDenied)
    }
  }

  @Test("neither a refresh token nor a password is in the database file as it was sent")
  func hashed() async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      let session = try await auth.signIn("ada")
      for file in ["auth.sqlite", "auth.sqlite-wal"] where PrivateFile.exists("\(auth.folder)/\(file)") {
        let bytes = try PrivateFile.read("\(auth.folder)/\(file)", maximumSize: 10 << 20)
        let text = String(decoding: bytes, as: UTF8.self)
        let secret = try #require(session.refreshToken.split(separator: ".").last)
        #expect(!text.contains(secret) && !text.contains(TestAuth.password))
      }
    }
  }
}
