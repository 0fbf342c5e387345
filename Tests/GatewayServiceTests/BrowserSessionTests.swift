// Cookies that no script can read, and changes that no other site can make.
import FerryAPI
import HTTPTypes
import Testing

@testable import GatewayService

private func fields(_ pairs: [(String, String)]) -> HTTPFields {
  var fields = HTTPFields()
  for (name, value) in pairs { fields.put(name, value) }
  return fields
}

@Suite struct BrowserSessionTests {
  private let session = Session.with {
    $0.accessToken = "aaa.bbb.ccc"
    $0.accessTokenExpiresAt = .with { $0.seconds = 1900 }
    $0.refreshToken = "rrr"
    $0.refreshTokenExpiresAt = .with { $0.seconds = 5000 }
  }

  @Test("both cookies are HttpOnly and SameSite=Strict, and end with their tokens")
  func cookies() {
    let lines = BrowserSession.cookies(for: session, now: 1000, secure: false)
    #expect(
      lines == [
        "fileferry_access=aaa.bbb.ccc; Path=/api/v1; HttpOnly; SameSite=Strict; Max-Age=900",
        "fileferry_refresh=rrr; Path=/api/v1/sessions; HttpOnly; SameSite=Strict; Max-Age=4000",
      ])
  }

  @Test(
    "cookies are Secure when the browser came over TLS",
    arguments: [
      [("X-Forwarded-Proto", "https")], [("Forwarded", "for=192.0.2.60;proto=https;by=203.0.113.43")],
    ])
  func secure(headers: [(String, String)]) {
    #expect(BrowserSession.isSecure(fields(headers)))
    #expect(BrowserSession.cookies(for: session, now: 0, secure: true).allSatisfy { $0.hasSuffix("; Secure") })
    #expect(!BrowserSession.isSecure(fields([("X-Forwarded-Proto", "http")])))
  }

  @Test("ending a session takes both cookies away at once")
  func ended() {
    #expect(BrowserSession.endedCookies(secure: false).allSatisfy { $0.contains("=; ") && $0.contains("Max-Age=0") })
  }

  @Test("a cookie is found among others by its exact name")
  func lookup() {
    let headers = fields([("Cookie", "x=1; xfileferry_access=no; fileferry_access=yes; fileferry_accessory=no")])
    #expect(BrowserSession.cookie(.access, in: headers) == "yes")
    #expect(BrowserSession.cookie(.refresh, in: headers) == nil)
  }

  @Test("a bearer token counts before a cookie, whatever the case of its scheme")
  func bearerFirst() {
    #expect(
      Credential(fields([("Authorization", "bearer t1"), ("Cookie", "fileferry_access=t2")])) == .bearer("t1"))
    #expect(Credential(fields([("Cookie", "fileferry_access=t2")])) == .cookie("t2"))
    #expect(Credential(fields([("Authorization", "Basic dTpw")])) == .none)
  }

  @Test("a token that could not stand in a header is none")
  func badToken() {
    #expect(Credential(fields([("Authorization", "Bearer a b")])) == .none)
    #expect(Credential(fields([("Cookie", "fileferry_access=")])) == .none)
  }

  @Test(
    "a change from FileFerry's own page is taken",
    arguments: [
      [("X-FileFerry", "1"), ("Sec-Fetch-Site", "same-origin"), ("Host", "ferry.example")],
      [("X-FileFerry", "1"), ("Origin", "https://ferry.example:8443"), ("Host", "ferry.example:8443")],
      [("X-FileFerry", "1"), ("Origin", "http://FERRY.example"), ("Host", "ferry.example")],
    ])
  func ownPage(headers: [(String, String)]) throws {
    try Self.check(headers)
  }

  @Test(
    "a change that another site could have sent is refused",
    arguments: [
      [("Sec-Fetch-Site", "same-origin"), ("Host", "ferry.example")],
      [("X-FileFerry", "0"), ("Sec-Fetch-Site", "same-origin"), ("Host", "ferry.example")],
      [("X-FileFerry", "1"), ("Sec-Fetch-Site", "cross-site"), ("Host", "ferry.example")],
      [("X-FileFerry", "1"), ("Sec-Fetch-Site", "same-site"), ("Host", "ferry.example")],
      [("X-FileFerry", "1"), ("Sec-Fetch-Site", "none"), ("Host", "ferry.example")],
      [
        ("X-FileFerry", "1"), ("Sec-Fetch-Site", "cross-site"), ("Origin", "https://ferry.example"),
        ("Host", "ferry.example"),
      ],
      [("X-FileFerry", "1"), ("Origin", "https://evil.example"), ("Host", "ferry.example")],
      [("X-FileFerry", "1"), ("Origin", "https://ferry.example.evil.example"), ("Host", "ferry.example")],
      [("X-FileFerry", "1"), ("Origin", "https://ferry.example:81"), ("Host", "ferry.example")],
      [("X-FileFerry", "1"), ("Origin", "null"), ("Host", "ferry.example")],
      [("X-FileFerry", "1"), ("Host", "ferry.example")],
    ])
  func otherSite(headers: [(String, String)]) {
    #expect { try Self.check(headers) } throws: { error in
      (error as? ProblemDetails)?.status == 403 && (error as? ProblemDetails)?.code == "CROSS_SITE_REQUEST"
    }
  }

  private static func check(_ headers: [(String, String)]) throws {
    let host = headers.first { $0.0 == "Host" }?.1
    try BrowserSession.checkChange(fields(headers.filter { $0.0 != "Host" }), host: host)
  }
}
