// The calls of fileferry.v1.Auth. The access matrix has admitted the caller already; for administration the stored user
// is asked again, so that a role taken away ends at once here.
import DocumentStore
import FerryAPI
import Logging
import RPC
import ServiceKit

struct AuthService: Sendable {
  let users: UserStore
  let passwords: Passwords
  let sessions: Sessions
  let tokens: AccessTokens
  let secrets: ServiceSecrets
  let singleSignOn: SingleSignOn
  let limiter: SignInLimiter
  let logger: Logger
  let now: @Sendable () -> UnixMilliseconds

  init(
    users: UserStore, passwords: Passwords, sessions: Sessions, tokens: AccessTokens, secrets: ServiceSecrets,
    singleSignOn: SingleSignOn, logger: Logger, now: @escaping @Sendable () -> UnixMilliseconds = SystemTime.now
  ) {
    self.users = users
    self.passwords = passwords
    self.sessions = sessions
    self.tokens = tokens
    self.secrets = secrets
    self.singleSignOn = singleSignOn
    self.logger = logger
    self.now = now
    limiter = SignInLimiter(now: now)
  }

  func router() -> Router {
    var router = Router()
    router.handle(Auth.signIn) { (request, _) async throws(RPCError) in try await signIn(request) }
    router.handle(Auth.refresh) { (request, _) async throws(RPCError) in try await refresh(request) }
    router.handle(Auth.getKeys) { (_, _) async throws(RPCError) in .with { $0.jwksJSON = tokens.keys.jwksJSON } }
    router.handle(Auth.issueServiceToken) { (request, _) async throws(RPCError) in
      try await issueServiceToken(request)
    }
    router.handle(Auth.listIdentityProviders) { (_, _) async throws(RPCError) in singleSignOn.list() }
    router.handle(Auth.beginSingleSignOn) { (request, _) async throws(RPCError) in
      try await singleSignOn.begin(request)
    }
    router.handle(Auth.completeSingleSignOn) { (request, _) async throws(RPCError) in
      try await opened(for: try await singleSignOn.complete(request))
    }
    router.handle(Auth.signOut) { (request, context) async throws(RPCError) in
      try await signOut(request, try context.caller)
    }
    router.handle(Auth.whoAmI) { (_, context) async throws(RPCError) in
      try await storedUser(of: try context.caller).profile
    }
    router.handle(Auth.changePassword) { (request, context) async throws(RPCError) in
      try await changePassword(request, try context.caller)
    }
    router.handle(Auth.createUser) { (request, context) async throws(RPCError) in
      try await createUser(request, try context.caller)
    }
    router.handle(Auth.updateUser) { (request, context) async throws(RPCError) in
      try await updateUser(request, try context.caller)
    }
    router.handle(Auth.listUsers) { (request, context) async throws(RPCError) in
      try await listUsers(request, try context.caller)
    }
    return router
  }

  // MARK: Sessions

  private static let wrongPassword = RPCError.told(
    .unauthenticated, "WRONG_PASSWORD", "The user name or the password is wrong.", next: "Check both and try again.")

  func signIn(_ request: SignInRequest) async throws(RPCError) -> Session {
    try Passwords.checkSize(request.password)
    // A name that cannot exist is answered like one that does not; its tries share one counter.
    let name = UserRules.userName(request.userName)
    try limiter.begin(name ?? "")
    var found: UserStore.Found?
    if let name { found = try await users.find(name: name) }
    guard try await passwords.matches(request.password, found?.user.password), let user = found?.user, let name else {
      logger.notice("sign-in refused", metadata: ["user_name": .string(name ?? "(invalid)")])
      throw Self.wrongPassword
    }
    limiter.succeeded(name)
    return try await opened(for: user)
  }

  /// A session for somebody who has shown who they are.
  private func opened(for found: StoredUser) async throws(RPCError) -> Session {
    var user = found
    guard !user.profile.disabled else {
      logger.notice("sign-in of a disabled user refused", metadata: ["user": .string(user.id)])
      throw .told(
        .permissionDenied, "USER_DISABLED", "This user is disabled.", next: "Ask an administrator to enable it.")
    }
    let grant = try await sessions.open(for: user)
    let time = Timestamp(unixMilliseconds: now())
    do throws(RPCError) {
      user = try await users.change(id: user.id) { $0.profile.lastSignInAt = time }
    } catch {
      // The time of the last sign-in is a convenience: not being able to note it keeps nobody out.
      logger.warning("the time of a sign-in was not noted", metadata: ["error": "\(error)"])
    }
    logger.info("signed in", metadata: ["user": .string(user.id), "session": .string(grant.sessionID)])
    return try await session(grant, user.profile)
  }

  func refresh(_ request: RefreshRequest) async throws(RPCError) -> Session {
    let (grant, user) = try await sessions.refresh(request.refreshToken) { (session) async throws(RPCError) in
      guard let user = try await users.find(id: session.userID)?.user, !user.profile.disabled,
        user.generation == session.generation
      else { throw Sessions.over }
      return user
    }
    return try await session(grant, user.profile)
  }

  private func session(_ grant: Sessions.Grant, _ user: User) async throws(RPCError) -> Session {
    let token = try await tokens.issue(for: user, session: grant.sessionID)
    return .with {
      $0.accessToken = token.accessToken
      $0.accessTokenExpiresAt = token.expiresAt
      $0.refreshToken = grant.refreshToken
      $0.refreshTokenExpiresAt = Timestamp(unixMilliseconds: grant.expiresAt)
      $0.user = user
    }
  }

  func signOut(_ request: SignOutRequest, _ caller: Caller) async throws(RPCError) -> SignOutResponse {
    if let session = caller.sessionID { try await sessions.end(session) }
    if !request.refreshToken.isEmpty { try await sessions.end(refreshToken: request.refreshToken, of: caller.id) }
    logger.info("signed out", metadata: ["user": .string(caller.id)])
    return SignOutResponse()
  }

  func issueServiceToken(_ request: IssueServiceTokenRequest) async throws(RPCError) -> AccessToken {
    do throws(RPCError) { try secrets.check(service: request.service, secret: request.secret) } catch {
      logger.warning("a service was refused a token", metadata: ["service": .string(request.service)])
      throw error
    }
    guard !request.onBehalfOf.isEmpty else { return try await tokens.issue(forService: request.service) }
    guard let user = try await users.find(id: request.onBehalfOf)?.user, !user.profile.disabled else {
      throw .told(
        .failedPrecondition, "USER_DISABLED", "The user \(request.onBehalfOf) does not exist or is disabled.",
        next: "Ask an administrator to enable the user.", subject: request.onBehalfOf)
    }
    return try await tokens.issue(for: user.profile, actingService: request.service)
  }

  // MARK: Own account

  /// The caller as stored now.
  /// - Throws: UNAUTHENTICATED if the user is gone or disabled.
  private func storedUser(of caller: Caller) async throws(RPCError) -> StoredUser {
    guard let user = try await users.find(id: caller.id)?.user, !user.profile.disabled else {
      throw .unauthenticated("This user does not exist any more or is disabled.", next: "Ask an administrator.")
    }
    return user
  }

  func changePassword(
    _ request: ChangePasswordRequest, _ caller: Caller
  ) async throws(RPCError) -> ChangePasswordResponse {
    try Passwords.checkSize(request.currentPassword)
    try Passwords.checkRules(request.newPassword)
    let user = try await storedUser(of: caller)
    try limiter.begin(user.profile.userName)
    guard try await passwords.matches(request.currentPassword, user.password) else {
      logger.notice("password change refused", metadata: ["user": .string(user.id)])
      throw .told(
        .permissionDenied, "WRONG_PASSWORD", "The current password is wrong.", next: "Check it and try again.")
    }
    limiter.succeeded(user.profile.userName)
    let hash = try await passwords.hash(request.newPassword)
    let previous = user.password
    let changed = try await users.change(id: user.id) { (user) throws(RPCError) in
      // Not over the head of somebody who changed it while this call was computing.
      guard user.password == previous else {
        throw .told(
          .aborted, "CONFLICT", "The password was changed by another call at the same moment.", next: "Try again.")
      }
      user.password = hash
      user.generation += 1
    }
    if let session = caller.sessionID { try await sessions.adopt(session, generation: changed.generation) }
    logger.notice("password changed", metadata: ["user": .string(user.id)])
    return ChangePasswordResponse()
  }

  // MARK: Administration

  private func checkAdministrator(_ caller: Caller) async throws(RPCError) {
    guard try await storedUser(of: caller).isEnabledAdmin else {
      logger.notice("call denied", metadata: ["caller": .string(caller.id), "reason": "the role admin was taken away"])
      throw .denied("\(caller.name) may not do this: it needs the role admin.", next: "Ask an administrator.")
    }
  }

  func createUser(_ request: CreateUserRequest, _ caller: Caller) async throws(RPCError) -> User {
    try await checkAdministrator(caller)
    let userName = try UserRules.checkedUserName(request.userName)
    let name = try UserRules.checkedName(request.name)
    let email = try UserRules.checkedEmail(request.email)
    let roles = try UserRules.checkedRoles(request.roles)
    try Passwords.checkRules(request.password)
    let hash = try await passwords.hash(request.password)
    var user = StoredUser.new(userName, name: name, email: email, roles: roles, at: now())
    user.password = hash
    try await users.create(user)
    logger.notice(
      "user made",
      metadata: [
        "by": .string(caller.id), "user": .string(user.id), "user_name": .string(userName),
        "roles": .array(roles.compactMap(\.claim).map { .string($0) }),
      ])
    return user.profile
  }

  func updateUser(_ request: UpdateUserRequest, _ caller: Caller) async throws(RPCError) -> User {
    try await checkAdministrator(caller)
    var changes: [String] = []
    var name: String?
    var email: String?
    var roles: [Role]?
    var hash: StoredPassword?
    if let text = request.name { name = try UserRules.checkedName(text) }
    if let text = request.email { email = try UserRules.checkedEmail(text) }
    if request.replaceRoles { roles = try UserRules.checkedRoles(request.roles) }
    if let password = request.password {
      try Passwords.checkRules(password)
      hash = try await passwords.hash(password)
    }
    let changed = try await users.change(id: request.userID) { (user) throws(RPCError) in
      changes = []
      if let name, user.profile.person?.name != name {
        user.profile.person?.name = name
        changes.append("name")
      }
      if let email, user.profile.person?.email != email {
        user.profile.person?.email = email
        changes.append("email")
      }
      if let roles, user.profile.roles != roles {
        user.profile.roles = roles
        changes.append("roles: " + roles.compactMap(\.claim).joined(separator: " "))
      }
      if let disabled = request.disabled, user.profile.disabled != disabled {
        user.profile.disabled = disabled
        if disabled { user.generation += 1 }
        changes.append(disabled ? "disabled" : "enabled")
      }
      if let hash {
        user.password = hash
        user.generation += 1
        changes.append("password")
      }
    }
    logger.notice(
      "user changed",
      metadata: [
        "by": .string(caller.id), "user": .string(request.userID), "changes": .array(changes.map { .string($0) }),
      ])
    return changed.profile
  }

  func listUsers(_ request: ListUsersRequest, _ caller: Caller) async throws(RPCError) -> ListUsersResponse {
    try await checkAdministrator(caller)
    let size = request.pageSize > 0 ? min(Int(request.pageSize), UserStore.maximumPageSize) : UserStore.defaultPageSize
    let (found, next) = try await users.list(limit: size, after: request.pageToken)
    return .with {
      $0.users = found.map(\.profile)
      $0.nextPageToken = next
    }
  }
}
