// Users, administrators, services and keys.
import Crypto
import DocumentStore
import FerryAPI
import FoundationEssentials
import Glibc
import RPC
import ServiceKit
import Testing

@testable import AuthService

@Suite("Administration")
struct AdministrationTests {
  @Test("user names are unique, whatever their case, also when made at the same moment")
  func unique() async throws {
    try await TestAuth.run { auth in
      try await auth.create("ada")
      #expect(await code { () async throws(RPCError) in try await auth.create("ADA") } == .alreadyExists)
      let codes = await withTaskGroup(of: StatusCode.self) { group in
        for _ in 0..<10 { group.addTask { await code { () async throws(RPCError) in try await auth.create("eve") } } }
        return await group.reduce(into: [StatusCode]()) { $0.append($1) }
      }
      #expect(codes.count { $0 == .ok } == 1)
      #expect(codes.count { $0 == .alreadyExists } == 9)
    }
  }

  @Test("a user's fields are checked, each with what to do")
  func fields() async throws {
    try await TestAuth.run { auth in
      let good = CreateUserRequest.with {
        $0.userName = "ada.l+1@x-y_z"
        $0.name = "Ada Lovelace"
        $0.roles = [.operator, .requester, .operator]
        $0.password = TestAuth.password
      }
      let bad: [(String, (inout CreateUserRequest) -> Void)] = [
        ("user_name", { $0.userName = "" }), ("user_name", { $0.userName = "a b" }),
        ("user_name", { $0.userName = "a/b" }), ("user_name", { $0.userName = "\u{430}da" }),
        ("user_name", { $0.userName = String(repeating: "a", count: 65) }),
        ("name", { $0.name = " " }), ("name", { $0.name = "a\nb" }),
        ("name", { $0.name = String(repeating: "a", count: 201) }),
        ("email", { $0.email = "x" }), ("email", { $0.email = "a@b\r\nBcc: c@d" }), ("email", { $0.email = "a@b@c" }),
        ("email", { $0.email = "<a@b>" }), ("roles", { $0.roles = [] }), ("roles", { $0.roles = [Role(rawValue: 99)] }),
        ("roles", { $0.roles = [.unspecified] }), ("password", { $0.password = "short" }),
      ]
      for (subject, spoil) in bad {
        var request = good
        spoil(&request)
        let error = await failure { () async throws(RPCError) in
          try await auth.service.createUser(request, auth.admin)
        }
        #expect(error?.code == .invalidArgument, "\(subject)")
        #expect(error?.told?.subject == subject)
        #expect(error?.told?.nextStep.isEmpty == false)
      }
      let made = try await auth.service.createUser(good, auth.admin)
      #expect(made.roles == [.requester, .operator])
    }
  }

  @Test("the last administrator can be neither disabled nor demoted, also not by two at the same moment")
  func lastAdministrator() async throws {
    try await TestAuth.run { auth in
      let admin = try #require(try await auth.users.find(name: "admin")).user.profile
      let disabled = await failure { () async throws(RPCError) in try await auth.update(admin) { $0.disabled = true } }
      #expect(disabled?.code == .failedPrecondition && disabled?.told?.code == "LAST_ADMINISTRATOR")
      let demoted = await code { () async throws(RPCError) in
        try await auth.update(admin) {
          $0.replaceRoles = true
          $0.roles = [.requester]
        }
      }
      #expect(demoted == .failedPrecondition)
      let second = try await auth.create("root", [.admin])
      let secondCaller = Caller(id: second.person?.id ?? "", name: "root", roles: [.admin])
      async let one = code { () async throws(RPCError) in try await auth.update(second) { $0.disabled = true } }
      async let two = code { () async throws(RPCError) in
        try await auth.update(admin, by: secondCaller) { $0.disabled = true }
      }
      let codes = await [one, two]
      #expect(codes.count { $0 == .ok } == 1, "\(codes)")
      let left = try await auth.users.list(limit: 10, after: "").users.count { $0.isEnabledAdmin }
      #expect(left == 1)
    }
  }

  @Test("an administrator whose role was taken away administrates no more, whatever the token says")
  func fresh() async throws {
    try await TestAuth.run { auth in
      let root = try await auth.create("root", [.admin])
      let caller = try await auth.caller(try await auth.signIn("root").accessToken)
      _ = try await auth.service.listUsers(ListUsersRequest(), caller)
      _ = try await auth.update(root) {
        $0.replaceRoles = true
        $0.roles = [.requester]
      }
      #expect(
        await code { () async throws(RPCError) in try await auth.service.listUsers(ListUsersRequest(), caller) }
          == .permissionDenied)
      _ = try await auth.update(root) { $0.disabled = true }
      #expect(
        await code { () async throws(RPCError) in try await auth.service.listUsers(ListUsersRequest(), caller) }
          == .unauthenticated)
    }
  }

  @Test("the list comes in pages, each user once, and holds no hash")
  func list() async throws {
    try await TestAuth.run { auth in
      for number in 0..<7 { try await auth.create("user\(number)") }
      var names: [String] = []
      var request = ListUsersRequest.with { $0.pageSize = 3 }
      repeat {
        let page = try await auth.service.listUsers(request, auth.admin)
        #expect(page.users.count <= 3)
        names += page.users.map(\.userName)
        request.pageToken = page.nextPageToken
      } while !request.pageToken.isEmpty
      #expect(names.sorted() == (["admin"] + (0..<7).map { "user\($0)" }).sorted())
      request.pageToken = "nonsense!"
      #expect(
        await code { () async throws(RPCError) in try await auth.service.listUsers(request, auth.admin) }
          == .invalidArgument)
    }
  }

  @Test("every administrative act is in the log, with who did it")
  func logged() async throws {
    try await TestAuth.run { auth in
      let ada = try await auth.create("ada")
      _ = try await auth.update(ada) { $0.disabled = true }
      let lines = auth.log.all.filter { $0.contains("\"by\":\"\(auth.admin.id)\"") }
      #expect(lines.count == 2)
      #expect(lines[0].contains("user made") && lines[0].contains("requester"))
      #expect(lines[1].contains("user changed") && lines[1].contains("disabled"))
    }
  }
}

@Suite("First administrator")
struct FirstAdministratorTests {
  private func first(_ store: SQLiteDocumentStore) -> FirstAdministrator {
    FirstAdministrator(
      users: UserStore(store: store, logger: nil),
      passwords: Passwords(cost: .init(rounds: 16, blockSize: 1, parallelism: 1)), logger: nil)
  }

  @Test("is made once with a password that is shown once, also when two processes start at the same moment")
  func once() async throws {
    try await withFolder { folder in
      let store = try SQLiteDocumentStore(path: "\(folder)/auth.sqlite")
      let first = first(store)
      let sentences = try await withThrowingTaskGroup(of: String?.self) { group in
        for _ in 0..<8 { group.addTask { try await first.makeIfMissing(passwordFile: nil) } }
        return try await group.reduce(into: [String]()) { list, sentence in sentence.map { list.append($0) } }
      }
      #expect(sentences.count == 1)
      let words = try #require(sentences.first).split(separator: " ")
      let password = try #require(words.firstIndex(of: "password").map { words[$0 + 1].dropLast() })
      #expect(password.count == 20)
      let user = try #require(try await first.users.find(name: "admin")).user
      #expect(try await first.passwords.matches(String(password), user.password))
      #expect(user.profile.roles == [.admin])
      #expect(try await first.makeIfMissing(passwordFile: nil) == nil)
      try await store.close()
    }
  }

  @Test("reset-admin-password is the way back in: a new password, the role, access, and old sessions over")
  func reset() async throws {
    try await TestAuth.run { auth in
      let admin = try #require(try await auth.users.find(name: "admin")).user.profile
      let session = try await auth.signIn("admin", TestAuth.adminPassword)
      let root = try await auth.create("root", [.admin])
      let rootCaller = Caller(id: root.person?.id ?? "", name: "root", roles: [.admin])
      _ = try await auth.update(admin, by: rootCaller) { $0.disabled = true }
      let first = FirstAdministrator(users: auth.users, passwords: auth.passwords, logger: nil)
      let sentence = try await first.reset(passwordFile: nil)
      let words = sentence.split(separator: " ")
      let password = try #require(words.lastIndex(of: "password").map { String(words[$0 + 1].dropLast()) })
      #expect(try await auth.signIn("admin", password).user?.roles == [.admin])
      #expect(await code { () async throws(RPCError) in try await auth.refresh(session) } == .unauthenticated)
      let old = await code { () async throws(RPCError) in try await auth.signIn("admin", TestAuth.adminPassword) }
      #expect(old == .unauthenticated)
    }
  }

  @Test("a password file that breaks the rules makes nobody")
  func badFile() async throws {
    try await withFolder { folder in
      _ = try PrivateFile.readOrMake("\(folder)/p", maximumSize: 100) { Array("short\n".utf8) }
      let store = try SQLiteDocumentStore(path: "\(folder)/auth.sqlite")
      let first = first(store)
      await #expect(throws: RPCError.self) { try await first.makeIfMissing(passwordFile: "\(folder)/p") }
      #expect(try await !first.users.hasAdministrators())
      try await store.close()
    }
  }

  @Test("made-up passwords use each unambiguous letter alike")
  func generator() {
    let all = (0..<2000).map { _ in PasswordGenerator.make(SystemRandom.bytes) }
    #expect(Set(all).count == 2000)
    let text = all.joined()
    #expect(!text.contains { "0O1lIo".contains($0) })
    let counts = text.reduce(into: [Character: Int]()) { $0[$1, default: 0] += 1 }
    #expect(counts.count == PasswordGenerator.alphabet.count)
    let expected = text.count / PasswordGenerator.alphabet.count
    #expect(counts.values.allSatisfy { $0 > expected * 3 / 4 && $0 < expected * 5 / 4 })
  }
}

@Suite("Tokens of services, and keys")
struct ServiceTokenTests {
  private func request(_ service: String = "transfer", _ secret: String = TestAuth.secret, for user: String = "")
    -> IssueServiceTokenRequest
  {
    .with {
      $0.service = service
      $0.secret = secret
      $0.onBehalfOf = user
    }
  }

  @Test("a service gets a token of its own, or one with a person's roles that names the service as the actor")
  func issue() async throws {
    try await TestAuth.run { auth in
      let ada = try await auth.create("ada", [.requester, .auditor])
      let own = try await auth.caller(try await auth.service.issueServiceToken(request()).accessToken)
      #expect(own.isService && own.id == "service:transfer" && own.service == "transfer" && own.roles.isEmpty)
      let token = try await auth.service.issueServiceToken(request(for: ada.person?.id ?? ""))
      #expect(token.expiresAt?.unixMilliseconds == auth.clock.now + 15 * minute)
      let acting = try await auth.caller(token.accessToken)
      #expect(acting.id == ada.person?.id && acting.actor == "transfer" && acting.roles == [.requester, .auditor])
      #expect(acting.sessionID == nil)
    }
  }

  @Test("a wrong secret and an unknown service are told the same; paths in a name lead nowhere")
  func refused() async throws {
    try await TestAuth.run { auth in
      _ = try PrivateFile.readOrMake("\(auth.folder)/empty.secret", maximumSize: 10) { [] }
      let bad = [
        request("transfer", "wrong"), request("transfer", ""), request("ticketing"), request("empty", ""),
        request("../\(auth.folder.split(separator: "/").last ?? "")/transfer"), request("", ""),
        request("transfer", TestAuth.secret + "x"), request("TRANSFER"), request("transfer\u{0}"),
        request("transfer", String(repeating: "x", count: 100_000)),
      ]
      for request in bad {
        let error = await failure { () async throws(RPCError) in try await auth.service.issueServiceToken(request) }
        #expect(error?.code == .unauthenticated)
        #expect(error?.message == "The service's name or secret is wrong.")
      }
    }
  }

  @Test("nobody is acted for who does not exist or is disabled")
  func onBehalf() async throws {
    try await TestAuth.run { auth in
      let ada = try await auth.create("ada")
      _ = try await auth.update(ada) { $0.disabled = true }
      for user in [ada.person?.id ?? "", "usr_unknown", "\u{0}", String(repeating: "x", count: 5000)] {
        let result = await code { () async throws(RPCError) in
          try await auth.service.issueServiceToken(request(for: user))
        }
        #expect(result == .failedPrecondition)
      }
    }
  }

  @Test("a key's id is its thumbprint as RFC 8037 appendix A.3 computes it")
  func thumbprint() throws {
    let x = try #require(Base64URL.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))
    let key = try Curve25519.Signing.PublicKey(rawRepresentation: x)
    #expect(SigningKeys.thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
  }

  @Test("the key is kept over restarts in a file for its owner alone; tokens of a previous key still count")
  func rotation() async throws {
    try await withFolder { folder in
      let claims = AccessTokenClaims(
        subject: "usr_1", name: "Ada", issuedAt: 1_800_000_000, expiresAt: 1_800_000_900, id: "tok_1")
      let first = try await SigningKeys(folder: folder)
      let token = try await first.sign(claims)
      #expect(try await SigningKeys(folder: folder).keyID == first.keyID)
      var status = stat()
      #expect(stat("\(folder)/signing.key", &status) == 0)
      #expect(status.st_mode & 0o777 == 0o600)
      #expect(rename("\(folder)/signing.key", "\(folder)/signing.previous.key") == 0)
      let second = try await SigningKeys(folder: folder)
      #expect(second.keyID != first.keyID)
      let verifier = TokenVerifier(logger: .init(label: "x"), now: { 1_800_000_000_000 }) {
        () async throws(RPCError) in second.jwksJSON
      }
      #expect(try await verifier.verify(token).id == "usr_1")
      #expect(try await verifier.verify(try await second.sign(claims)).id == "usr_1")
      #expect(!second.jwksJSON.contains("\"d\""))
    }
  }

  @Test("a damaged key file stops the start with what to do")
  func damaged() async throws {
    try await withFolder { folder in
      _ = try PrivateFile.readOrMake("\(folder)/signing.key", maximumSize: 10) { Array("nonsense".utf8) }
      await #expect(throws: ServiceFailure.self) { _ = try await SigningKeys(folder: folder) }
    }
  }
}
