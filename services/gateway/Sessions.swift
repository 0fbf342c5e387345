// Signing in, renewing, signing out, and who one is. A program gets the tokens in the body and sends them as it likes;
// a browser (known by the page's header) gets them as cookies, and the body holds none.
import FerryAPI
import FoundationEssentials
import Hummingbird
import RPC

enum Sessions {
  static let routes: [Route] = [
    .post(
      "sessions", "signIn", "Signs in with user name and password.", takes: SignInRequest.self,
      returns: .message(Session.self), isOpen: true, checksChange: false, signIn),
    .post(
      "sessions/refresh", "refreshSession", "Renews a session that is not over.", takes: RefreshRequest.self,
      returns: .message(Session.self), isOpen: true, checksChange: false, refresh),
    .get(
      "identity-providers", "listIdentityProviders", "Lists the identity providers that one can sign in with.",
      returns: .message(ListIdentityProvidersResponse.self), isOpen: true, identityProviders),
    .post(
      "sessions/sso/begin", "beginSingleSignOn", "Begins a sign-in at an identity provider (OpenID Connect).",
      takes: BeginSingleSignOnRequest.self, returns: .message(BeginSingleSignOnResponse.self), isOpen: true,
      checksChange: false, beginSingleSignOn),
    .post(
      "sessions/sso", "completeSingleSignOn", "Signs in with what the identity provider sent back.",
      takes: CompleteSingleSignOnRequest.self, returns: .message(Session.self), isOpen: true, checksChange: false,
      completeSingleSignOn),
    .delete(
      "sessions/current", "signOut", "Ends the session.", takes: SignOutRequest.self, checksChange: false, signOut),
    .get("me", "whoAmI", "Says who is signed in.", returns: .message(User.self), whoAmI),
  ]

  @Sendable static func signIn(_ call: RestCall) async throws -> Response {
    let asBrowser = try isBrowser(call)
    let session = try await call.backends.auth.unary(Auth.signIn, try await call.body(), call.anonymous())
    return try answer(session, call, asBrowser)
  }

  @Sendable static func identityProviders(_ call: RestCall) async throws -> Response {
    call.json(
      try await call.backends.auth.unary(Auth.listIdentityProviders, ListIdentityProvidersRequest(), call.anonymous()))
  }

  /// A browser keeps the flow in a cookie that no script can read: only the browser that began can complete.
  @Sendable static func beginSingleSignOn(_ call: RestCall) async throws -> Response {
    let asBrowser = try isBrowser(call)
    let begun = try await call.backends.auth.unary(
      Auth.beginSingleSignOn, try await call.body(), call.anonymous(Patience.outward))
    guard asBrowser else { return call.json(begun) }
    var shown = begun
    shown.flow = ""
    var response = call.json(shown)
    response.addCookie(flow(begun.flow, until: begun.expiresAt, call))
    return response
  }

  @Sendable static func completeSingleSignOn(_ call: RestCall) async throws -> Response {
    let asBrowser = try isBrowser(call)
    var request: CompleteSingleSignOnRequest = try await call.body()
    if asBrowser { request.flow = BrowserSession.cookie(.flow, in: call.request.headers) ?? "" }
    let session = try await call.backends.auth.unary(
      Auth.completeSingleSignOn, request, call.anonymous(Patience.outward))
    var response = try answer(session, call, asBrowser)
    if asBrowser { response.addCookie(flow("", until: nil, call)) }
    return response
  }

  private static func flow(_ flow: String, until: Timestamp?, _ call: RestCall) -> String {
    BrowserSession.flowCookie(
      flow, until: until, now: Int64(Date().timeIntervalSince1970),
      secure: call.isSecure)
  }

  @Sendable static func refresh(_ call: RestCall) async throws -> Response {
    let asBrowser = try isBrowser(call)
    var request: RefreshRequest = try await call.body()
    if asBrowser {
      guard let token = BrowserSession.cookie(.refresh, in: call.request.headers) else {
        throw ProblemDetails(401, "SESSION_ENDED", "There is no session to renew.", next: "Sign in.")
      }
      request.refreshToken = token
    }
    do {
      return try answer(
        try await call.backends.auth.unary(Auth.refresh, request, call.anonymous()), call, asBrowser)
    } catch let error as RPCError where asBrowser && error.code == .unauthenticated {
      // The session is over: its cookies go, so that the page asks to sign in once and not again and again.
      var response = ProblemDetails(error).response()
      response.setCookies(BrowserSession.endedCookies(secure: call.isSecure))
      return response
    }
  }

  @Sendable static func signOut(_ call: RestCall) async throws -> Response {
    let asBrowser = try isBrowser(call)
    var request: SignOutRequest = try await call.body()
    if asBrowser { request.refreshToken = BrowserSession.cookie(.refresh, in: call.request.headers) ?? "" }
    _ = try await call.backends.auth.unary(Auth.signOut, request, call.onward())
    var response = RestCall.empty
    if asBrowser {
      response.setCookies(BrowserSession.endedCookies(secure: call.isSecure))
    }
    return response
  }

  @Sendable static func whoAmI(_ call: RestCall) async throws -> Response {
    call.json(try await call.backends.auth.unary(Auth.whoAmI, WhoAmIRequest(), call.onward()))
  }

  /// Whether the page is calling; then the request must also come from its own origin. A request with cookies but
  /// without the page's header is refused here, so that no other site can end or swap a session.
  private static func isBrowser(_ call: RestCall) throws(ProblemDetails) -> Bool {
    let headers = call.request.headers
    let hasCookie = [.access, .refresh].contains { BrowserSession.cookie($0, in: headers) != nil }
    if case .bearer = call.credential { return false }
    guard BrowserSession.isPage(headers) || hasCookie else { return false }
    try BrowserSession.checkChange(headers, host: call.request.head.authority)
    return true
  }

  private static func answer(_ session: Session, _ call: RestCall, _ asBrowser: Bool) throws -> Response {
    guard asBrowser else { return call.json(session) }
    var shown = session
    shown.accessToken = ""
    shown.refreshToken = ""
    var response = call.json(shown)
    response.setCookies(
      BrowserSession.cookies(
        for: session, now: Int64(Date().timeIntervalSince1970),
        secure: call.isSecure))
    return response
  }
}

extension Response {
  /// Each cookie is a header of its own (RFC 6265 section 3).
  mutating func setCookies(_ lines: [String]) { headers[values: .setCookie] = lines }
  mutating func addCookie(_ line: String) { headers[values: .setCookie].append(line) }
}
