// Who is calling over HTTP. Programs send a bearer token; browsers hold access and refresh token in cookies that no
// script can read, and must show for every change that the request comes from FileFerry's own page.
import FerryAPI
import Hummingbird

/// What a request shows of its caller. The services check it, not the gateway.
enum Credential: Equatable, Sendable {
  case none
  case bearer(String)
  case cookie(String)

  /// A bearer token counts before a cookie.
  init(_ headers: HTTPFields) {
    if let token = Self.bearerToken(headers[.authorization]) {
      self = .bearer(token)
    } else if let token = BrowserSession.cookie(.access, in: headers) {
      self = .cookie(token)
    } else {
      self = .none
    }
  }

  /// RFC 6750 section 2.1; the scheme's name is case-insensitive (RFC 9110 section 11.1).
  private static func bearerToken(_ value: String?) -> String? {
    guard let value, let space = value.firstIndex(of: " "), value[..<space].lowercased() == "bearer" else { return nil }
    let token = value[space...].drop { $0 == " " }
    return isToken(token) ? String(token) : nil
  }

  /// Whether it can stand in a header as it is: printable ASCII, no spaces, and some of it.
  static func isToken(_ text: some StringProtocol) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
  }

  var token: String? {
    switch self {
    case .none: nil
    case .bearer(let token), .cookie(let token): token
    }
  }
}

enum BrowserSession {
  enum CookieKind: String {
    case access = "fileferry_access"
    case refresh = "fileferry_refresh"
    /// A single sign-on under way.
    case flow = "fileferry_flow"

    /// Only the access token goes further than where sessions begin, are renewed or end.
    var path: String { self == .access ? "/api/v1" : "/api/v1/sessions" }
  }

  /// The header that FileFerry's page sends and no other site's page can add without this server's leave, which it
  /// never gives: it answers no CORS preflight.
  static let pageHeader = "x-fileferry"

  static func isPage(_ headers: HTTPFields) -> Bool { headers.value(pageHeader) == "1" }

  static func cookie(_ kind: CookieKind, in headers: HTTPFields) -> String? {
    for header in headers[values: .cookie] {
      for pair in header.split(separator: ";") {
        let trimmed = pair.drop { $0 == " " }
        guard trimmed.hasPrefix(kind.rawValue + "=") else { continue }
        let value = trimmed.dropFirst(kind.rawValue.count + 1)
        return Credential.isToken(value) ? String(value) : nil
      }
    }
    return nil
  }

  /// Refuses a change made with cookies unless the page's header is there and the browser says that it comes from this
  /// origin: Sec-Fetch-Site (W3C Fetch Metadata) where it sends one (over plain HTTP it does so to this machine alone), else
  /// Origin (RFC 6454) against Host.
  /// - Parameter host: the request's authority; the HTTP library takes the Host field out of the headers.
  static func checkChange(_ headers: HTTPFields, host: String?) throws(ProblemDetails) {
    guard isPage(headers) else {
      throw ProblemDetails(
        403, "CROSS_SITE_REQUEST", "A change with cookies needs the header X-FileFerry: 1.",
        next: "Use FileFerry's own page, or send a bearer token instead of cookies.")
    }
    if let site = headers.value("sec-fetch-site") {
      guard site == "same-origin" else { throw crossSite(site) }
      return
    }
    guard let origin = headers[.origin], let host, isSameOrigin(origin, host: host) else {
      throw crossSite(headers[.origin] ?? "no origin")
    }
  }

  /// Whether an Origin such as "https://ferry.example:8443" is of this host. The scheme is the proxy's business.
  static func isSameOrigin(_ origin: String, host: String) -> Bool {
    guard let separator = origin.range(of: "://") else { return false }
    return origin[separator.upperBound...].lowercased() == host.lowercased()
  }

  private static func crossSite(_ found: String) -> ProblemDetails {
    ProblemDetails(
      403, "CROSS_SITE_REQUEST",
      "The request comes from another site (\(found.prefix(100))), so it was not carried out.",
      next: "Open FileFerry's own page and do it there.")
  }

  /// Whether the browser reached a proxy in front of us over TLS (RFC 7239, and its older form).
  static func isSecure(_ headers: HTTPFields) -> Bool {
    if headers.value("x-forwarded-proto")?.lowercased().hasPrefix("https") == true { return true }
    return headers.value("forwarded")?.lowercased().contains("proto=https") == true
  }

  /// The two cookies of a session.
  static func cookies(for session: Session, now: Int64, secure: Bool) -> [String] {
    [
      cookie(.access, session.accessToken, until: session.accessTokenExpiresAt, now, secure),
      cookie(.refresh, session.refreshToken, until: session.refreshTokenExpiresAt, now, secure),
    ]
  }

  /// The same two, ended.
  static func endedCookies(secure: Bool) -> [String] {
    [line(.access, "", maxAge: 0, secure), line(.refresh, "", maxAge: 0, secure)]
  }

  /// The cookie of a single sign-on under way, until it expires; empty ends it.
  static func flowCookie(_ flow: String, until: Timestamp?, now: Int64, secure: Bool) -> String {
    cookie(.flow, flow, until: until ?? Timestamp(), now, secure)
  }

  private static func cookie(
    _ kind: CookieKind, _ value: String, until: Timestamp?, _ now: Int64, _ secure: Bool
  ) -> String {
    line(kind, value, maxAge: until.map { max(0, $0.seconds - now) }, secure)
  }

  private static func line(_ kind: CookieKind, _ value: String, maxAge: Int64?, _ secure: Bool) -> String {
    var line = "\(kind.rawValue)=\(value); Path=\(kind.path); HttpOnly; SameSite=Strict"
    if let maxAge { line += "; Max-Age=\(maxAge)" }
    if secure { line += "; Secure" }
    return line
  }
}

extension HTTPFields {
  /// The first value under a name given in lower case.
  func value(_ name: String) -> String? { first { $0.name.canonicalName == name }?.value }
}
