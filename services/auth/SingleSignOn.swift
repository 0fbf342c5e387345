// Single sign-on: a person is sent to their company's identity provider and comes back with a code, which the provider
// turns into what it knows of them. Between the two calls nothing is stored here: what must be remembered is sealed and kept
// by whoever began, so nobody else can complete it, and a flood of beginnings fills no disk.
import Crypto
import DocumentStore
import FerryAPI
import Logging
import ProtoWire
import RPC
import ServiceKit

struct SingleSignOn: Sendable {
  /// How long a person may take at the provider.
  static let flowLifetime: UnixMilliseconds = 15 * 60_000
  static let maximumFlowSize = 8192
  static let maximumRedirectSize = 2048
  static let maximumCodeSize = 8192
  /// Bytes of a state, a nonce and a verifier: 43 characters, the least that RFC 7636 section 4.1 allows.
  private static let secretSize = 32
  private static let sealContext = "single-sign-on"
  /// User names tried for a person whose name is taken.
  private static let maximumNameAttempts = 20

  let providers: [OpenIDProvider]
  let users: UserStore
  let box: SecretBox
  let logger: Logger
  var now: @Sendable () -> UnixMilliseconds = SystemTime.now
  var random: RandomBytes = SystemRandom.bytes

  func list() -> ListIdentityProvidersResponse {
    .with { response in
      response.providers = providers.map { provider in
        .with {
          $0.id = provider.settings.id
          $0.name = provider.settings.name
          $0.kind = provider.settings.kind
        }
      }
    }
  }

  // MARK: Begin

  func begin(_ request: BeginSingleSignOnRequest) async throws(RPCError) -> BeginSingleSignOnResponse {
    let provider = try provider(request.providerID)
    let uri = request.redirectURI
    let isAddress = uri.hasPrefix("https://") || uri.hasPrefix("http://")
    guard isAddress, uri.utf8.count <= Self.maximumRedirectSize, uri.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
      !uri.contains("#")
    else {
      throw .invalid(
        "The redirect URI is no absolute http or https address without a fragment.",
        next: "Give the one that is registered at the provider.", subject: "redirect_uri")
    }
    let flow = StoredFlow.with {
      $0.providerID = provider.settings.id
      $0.state = secret()
      $0.nonce = secret()
      $0.verifier = secret()
      $0.redirectURI = uri
      $0.expiresAt = now() + Self.flowLifetime
    }
    let url = try await provider.authorizationURL(
      state: flow.state, nonce: flow.nonce, verifier: flow.verifier, redirectURI: uri)
    return .with {
      $0.authorizationURL = url
      $0.flow = Base64URL.encode(box.seal(flow.encodedBytes(), context: Self.sealContext))
      $0.expiresAt = Timestamp(unixMilliseconds: flow.expiresAt)
    }
  }

  private func secret() -> String { Base64URL.encode(random(Self.secretSize)) }

  private func provider(_ id: String) throws(RPCError) -> OpenIDProvider {
    if let found = providers.first(where: { $0.settings.id == id }) { return found }
    let known = providers.map(\.settings.id).joined(separator: ", ")
    throw .notFound(
      "There is no identity provider \(String(id.prefix(64)).debugDescription).",
      next: known.isEmpty ? "Sign in with a password: none is set up." : "Use one of \(known).", subject: "provider_id")
  }

  // MARK: Complete

  /// The person who came back, as they are known here now.
  func complete(_ request: CompleteSingleSignOnRequest) async throws(RPCError) -> StoredUser {
    let flow = try opened(request.flow)
    guard ConstantTime.equal(Array(request.state.utf8), Array(flow.state.utf8)) else {
      throw .told(
        .permissionDenied, "SSO_MISMATCH", "This is not the sign-in that was begun in this browser.",
        next: "Begin again from the sign-in page.")
    }
    let provider = try provider(flow.providerID)
    let name = provider.settings.name
    guard request.error.isEmpty else {
      let why = [request.error, request.errorDescription].map(OpenIDProvider.printable).filter { !$0.isEmpty }
      throw .told(
        .permissionDenied, "SSO_REFUSED", "\(name) did not let you in: \(why.joined(separator: ": ")).",
        next: "Try again, or ask whoever administers your company's accounts.")
    }
    guard !request.code.isEmpty, request.code.utf8.count <= Self.maximumCodeSize else {
      throw .invalid("\(name) sent no code.", next: "Begin again from the sign-in page.", subject: "code")
    }
    let claims = try await provider.claims(
      code: request.code, verifier: flow.verifier, redirectURI: flow.redirectURI, nonce: flow.nonce)
    return try await person(claims, provider.settings)
  }

  private func opened(_ text: String) throws(RPCError) -> StoredFlow {
    let over = RPCError.told(
      .failedPrecondition, "SSO_EXPIRED", "The sign-in took too long, or was begun elsewhere.",
      next: "Begin again from the sign-in page.")
    guard text.utf8.count <= Self.maximumFlowSize, let sealed = Base64URL.decode(text),
      let bytes = try? box.open(sealed, context: Self.sealContext), let flow = try? StoredFlow(decoding: bytes),
      now() < flow.expiresAt
    else { throw over }
    return flow
  }

  // MARK: People

  /// Finds the person by issuer and subject, which no other person ever has (Core section 5.7), and brings what the provider
  /// says of them up to date; whoever comes for the first time is added. Never by name or mail address: those can be changed
  /// at a provider, and would open another's account.
  private func person(
    _ claims: IDToken, _ settings: IdentityProviderSettings
  ) async throws(RPCError) -> StoredUser {
    let roles = settings.roles(for: settings.roleClaims.flatMap(claims.texts))
    guard !roles.isEmpty else {
      logger.notice(
        "single sign-on without a role refused",
        metadata: ["provider": .string(settings.id), "subject": .string(OpenIDProvider.printable(claims.subject))])
      throw .told(
        .permissionDenied, "NO_ROLE", "\(settings.name) knows you, but none of your groups or roles there has a role here.",
        next: "Ask an administrator to add you to a group that may use FileFerry.")
    }
    // Never longer than rules allow, whatever the provider sends.
    let email = (try? UserRules.checkedEmail(claims.email)) ?? ""
    let given = [claims.text("name"), claims.text("preferred_username"), email, claims.subject]
    let name = given.lazy.compactMap { try? UserRules.checkedName($0) }.first ?? settings.name
    let identity = Self.identity(issuer: settings.issuer, subject: claims.subject)
    if let found = try await users.find(identity: identity) {
      return try await users.change(id: found.user.id) { user in
        user.profile.person?.name = name
        user.profile.person?.email = email
        user.profile.roles = roles
      }
    }
    return try await add(claims, name: name, email: email, roles, identity, settings)
  }

  private func add(
    _ claims: IDToken, name: String, email: String, _ roles: [Role], _ identity: String,
    _ settings: IdentityProviderSettings
  ) async throws(RPCError) -> StoredUser {
    let wanted = [claims.text("preferred_username"), email].lazy.compactMap(UserRules.userName).first
    let base = wanted ?? "\(settings.id)-\(identity.prefix(12))"
    let user = StoredUser.new(base, name: name, email: email, roles: roles, at: now())
    for attempt in 1...Self.maximumNameAttempts {
      var user = user
      let ending = attempt == 1 ? "" : "-\(attempt)"
      user.profile.userName = base.prefix(UserRules.maximumUserNameSize - ending.utf8.count) + ending
      do throws(RPCError) { try await users.create(user, identity: identity) } catch {
        guard error.code == .alreadyExists else { throw error }
        // The same person came twice at once, or somebody else has the name.
        if let found = try await users.find(identity: identity) { return found.user }
        continue
      }
      logger.notice(
        "user made by single sign-on",
        metadata: [
          "provider": .string(settings.id), "user": .string(user.id), "user_name": .string(user.profile.userName),
          "roles": .array(roles.compactMap(\.claim).map { .string($0) }),
        ])
      return user
    }
    throw .told(
      .alreadyExists, "USER_NAME_TAKEN", "The user name \(base) and those like it are taken.",
      next: "Ask an administrator to rename one of them.", subject: base)
  }

  /// The hash of issuer and subject: both may be longer than a key.
  static func identity(issuer: String, subject: String) -> String {
    Base64URL.encode(SHA256.hash(data: Array(issuer.utf8) + [0] + Array(subject.utf8)))
  }
}
