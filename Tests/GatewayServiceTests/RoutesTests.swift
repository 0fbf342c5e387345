// The route table, and what routes do with real services behind them: sessions, forwarded tokens, missing parts.
import FerryAPI
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import RPC
import Testing

@testable import GatewayService

@Suite struct RoutesTests {
  private func api(_ backends: Backends) -> RestAPI {
    RestAPI(backends: backends, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  private func send(
    _ method: HTTPRequest.Method, _ path: String, _ backends: Backends, headers: [(String, String)] = [],
    body: String = "", parameters: [(key: Substring, value: Substring)] = []
  ) async throws -> (response: Response, json: [String: Any]) {
    let (response, text) = try await sendText(method, path, backends, headers: headers, body: body, parameters: parameters)
    let json = text.isEmpty ? [:] : try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
    return (response, json)
  }

  private func sendText(
    _ method: HTTPRequest.Method, _ path: String, _ backends: Backends, headers: [(String, String)] = [],
    body: String = "", parameters: [(key: Substring, value: Substring)] = []
  ) async throws -> (response: Response, text: String) {
    let route = try #require(api(backends).routes.first { $0.method == method && $0.path == path })
    var fields: HTTPFields = body.isEmpty ? [:] : [.contentType: "application/json"]
    for (name, value) in headers { fields.put(name, value) }
    let head = HTTPRequest(
      method: method, scheme: "http", authority: "ferry.example", path: "/api/v1/" + path, headerFields: fields)
    let request = Request(head: head, body: RequestBody(buffer: ByteBuffer(string: body)))
    let response = await api(backends).answer(route, request, Parameters(parameters))
    let sink = Sink()
    try await response.body.write(sink)
    return (response, sink.text())
  }

  private let page = [("X-FileFerry", "1"), ("Sec-Fetch-Site", "same-origin"), ("Host", "ferry.example")]

  private static func auth(seen: Seen) -> RPC.Router {
    .with { router in
      router.handle(Auth.signIn) { (request: SignInRequest, _: CallContext) async throws(RPCError) in
        guard request.password == "right" else { throw RPCError(.unauthenticated, "User name or password is wrong.") }
        return .with {
          $0.accessToken = "ACCESS"
          $0.refreshToken = "REFRESH"
          $0.user = .with { $0.userName = request.userName }
        }
      }
      router.handle(Auth.refresh) { (request: RefreshRequest, _: CallContext) async throws(RPCError) in
        guard request.refreshToken == "REFRESH" else { throw RPCError(.unauthenticated, "The session has ended.") }
        return .with {
          $0.accessToken = "ACCESS2"
          $0.refreshToken = "REFRESH2"
        }
      }
      router.handle(Auth.beginSingleSignOn) { (_: BeginSingleSignOnRequest, _: CallContext) async throws(RPCError) in
        .with {
          $0.authorizationURL = "https://login.example.com/?state=S"
          $0.flow = "FLOW"
          $0.expiresAt = Timestamp(seconds: 4_000_000_000)
        }
      }
      router.handle(Auth.completeSingleSignOn) {
        (request: CompleteSingleSignOnRequest, _: CallContext) async throws(RPCError) in
        guard request.flow == "FLOW", request.state == "S", request.code == "C" else {
          throw RPCError(.invalidArgument, "Another sign-in.")
        }
        return .with { ($0.accessToken, $0.refreshToken) = ("ACCESS", "REFRESH") }
      }
      router.handle(Auth.signOut) { (request: SignOutRequest, context: CallContext) async throws(RPCError) in
        seen.add([request.refreshToken, context.metadata["authorization"] ?? ""])
        return SignOutResponse()
      }
      router.handle(Auth.whoAmI) { (_: WhoAmIRequest, context: CallContext) async throws(RPCError) in
        guard context.metadata["authorization"] == "Bearer ACCESS" else {
          throw RPCError(.unauthenticated, "This call needs to know who you are.")
        }
        return .with { $0.userName = "ada" }
      }
    }
  }

  @Test("no two routes answer the same method and path, and each path is of the API's own")
  func unique() {
    let routes = api(FakeServices.nowhere).routes
    let names = routes.map { "\($0.method.rawValue) \($0.path)" }
    #expect(Set(names).count == names.count)
    #expect(routes.allSatisfy { !$0.path.hasPrefix("/") && !$0.path.contains("..") })
  }

  @Test("only the session routes check for themselves that a change comes from the page")
  func checks() {
    let own = api(FakeServices.nowhere).routes.filter { !$0.checksChange }.map(\.path)
    #expect(own == ["sessions", "sessions/refresh", "sessions/sso/begin", "sessions/sso", "sessions/current"])
  }

  @Test("the routes are these")
  func table() {
    let names = api(FakeServices.nowhere).routes.map { "\($0.method.rawValue) \($0.path)" }
    #expect(
      Set(names) == [
        "POST sessions", "POST sessions/refresh", "POST sessions/sso/begin", "POST sessions/sso",
        "GET identity-providers", "DELETE sessions/current", "GET me", "POST me/password", "GET users",
        "POST users", "PATCH users/{id}", "GET dashboard", "GET system",
        "GET providers", "GET connections", "GET connections/{name}", "PUT connections/{name}",
        "DELETE connections/{name}", "GET connections/{name}/buckets",
        "GET connections/{name}/buckets/{bucket}/objects",
        "GET destinations", "GET destinations/{name}", "PUT destinations/{name}", "DELETE destinations/{name}",
        "POST destinations:test", "POST deliveries", "POST deliveries/group", "GET deliveries", "POST deliveries/plan", "GET deliveries/{id}",
        "GET deliveries/{id}/files", "GET deliveries/{id}/events", "POST deliveries/{id}/pause",
        "POST deliveries/{id}/resume", "POST deliveries/{id}/cancel",
        "POST deliveries/{id}/retry", "POST deliveries/{id}/chat", "GET deliveries/{id}/receipt",
        "GET deliveries/{id}/receipt/files", "GET receipt-key", "GET openapi.json", "GET tickets",
        "GET tickets/{number}", "GET notifications", "POST notifications/read", "GET notifications/events",
        "GET notifications/channels", "GET schedules", "GET schedules/{name}", "PUT schedules/{name}",
        "DELETE schedules/{name}", "POST schedules/{name}/run",
      ])
  }

  @Test("a GET's answer has an ETag; who has it already gets 304 and no body, and a POST's has none")
  func entityTags() async throws {
    let services = try await FakeServices(["auth": Self.auth(seen: Seen())])
    let token = [("Authorization", "Bearer ACCESS")]
    let (first, json) = try await send(.get, "me", services.backends, headers: token)
    let etag = try #require(first.headers[.eTag])
    #expect(first.status == .ok && json["userName"] as? String == "ada")
    let (again, nothing) = try await sendText(
      .get, "me", services.backends, headers: token + [("If-None-Match", "\"other\", \(etag)")])
    #expect(again.status == .notModified && nothing.isEmpty && again.headers[.eTag] == etag)
    #expect(again.headers[.contentSecurityPolicy] != nil)
    let other = try await send(.get, "me", services.backends, headers: token + [("If-None-Match", "\"other\"")])
    #expect(other.response.status == .ok)
    let refused = try await send(.get, "me", services.backends, headers: [("If-None-Match", etag)])
    #expect(refused.response.status == .unauthorized)
    let posted = try await send(.post, "sessions", services.backends, body: #"{"userName":"ada","password":"right"}"#)
    #expect(posted.response.headers[.eTag] == nil)
    await services.stop()
  }

  @Test("a program signs in and gets its tokens in the body, and no cookies")
  func programSignsIn() async throws {
    let services = try await FakeServices(["auth": Self.auth(seen: Seen())])
    let (response, json) = try await send(
      .post, "sessions", services.backends, body: #"{"userName":"ada","password":"right"}"#)
    #expect(response.status == .ok)
    #expect(json["accessToken"] as? String == "ACCESS")
    #expect(response.headers[values: .setCookie].isEmpty)
    await services.stop()
  }

  @Test("the page signs in and gets cookies, and no token that a script could read")
  func pageSignsIn() async throws {
    let services = try await FakeServices(["auth": Self.auth(seen: Seen())])
    let (response, json) = try await send(
      .post, "sessions", services.backends, headers: page, body: #"{"userName":"ada","password":"right"}"#)
    #expect(json["accessToken"] == nil && json["refreshToken"] == nil)
    #expect((json["user"] as? [String: Any])?["userName"] as? String == "ada")
    let cookies = response.headers[values: .setCookie]
    #expect(cookies.count == 2 && cookies.allSatisfy { $0.contains("HttpOnly") && $0.contains("SameSite=Strict") })
    await services.stop()
  }

  @Test("the page begins a single sign-on with a cookie that only the server reads, and completes it with that alone")
  func pageSignsOn() async throws {
    let seen = Seen()
    let services = try await FakeServices(["auth": Self.auth(seen: seen)])
    let begun = try await send(
      .post, "sessions/sso/begin", services.backends, headers: page,
      body: #"{"providerId":"entra","redirectUri":"https://ferry.example.com/"}"#)
    #expect(begun.json["authorizationUrl"] as? String == "https://login.example.com/?state=S")
    #expect(begun.json["flow"] == nil)
    let cookie = try #require(begun.response.headers[values: .setCookie].first)
    #expect(cookie.hasPrefix("fileferry_flow=FLOW; Path=/api/v1/sessions; HttpOnly; SameSite=Strict; Max-Age="))
    // What the page itself says of the flow does not count.
    let answer = #"{"state":"S","code":"C","flow":"FLOW"}"#
    let without = try await send(.post, "sessions/sso", services.backends, headers: page, body: answer)
    #expect(without.response.status.code == 400)
    let good = try await send(
      .post, "sessions/sso", services.backends, headers: page + [("Cookie", "fileferry_flow=FLOW")], body: answer)
    #expect(good.response.status == .ok && good.json["accessToken"] == nil)
    let cookies = good.response.headers[values: .setCookie]
    #expect(cookies.count == 3 && cookies.last?.hasPrefix("fileferry_flow=; ") == true)
    #expect(cookies.last?.contains("Max-Age=0") == true)
    await services.stop()
  }

  @Test("a program gets the flow and the tokens in the bodies, and no cookies")
  func programSignsOn() async throws {
    let services = try await FakeServices(["auth": Self.auth(seen: Seen())])
    let begun = try await send(.post, "sessions/sso/begin", services.backends, body: "{}")
    #expect(begun.json["flow"] as? String == "FLOW" && begun.response.headers[values: .setCookie].isEmpty)
    let done = try await send(
      .post, "sessions/sso", services.backends, body: #"{"state":"S","code":"C","flow":"FLOW"}"#)
    #expect(done.json["accessToken"] as? String == "ACCESS" && done.response.headers[values: .setCookie].isEmpty)
    await services.stop()
  }

  @Test("a wrong password is a problem with 401 and leaves no cookie")
  func wrongPassword() async throws {
    let services = try await FakeServices(["auth": Self.auth(seen: Seen())])
    let (response, json) = try await send(
      .post, "sessions", services.backends, headers: page, body: #"{"userName":"ada","password":"no"}"#)
    #expect(response.status.code == 401)
    #expect(json["detail"] as? String == "User name or password is wrong.")
    #expect(response.headers[values: .setCookie].isEmpty)
    await services.stop()
  }

  @Test("the page renews its session by the cookie alone, and an ended session loses its cookies")
  func renews() async throws {
    let services = try await FakeServices(["auth": Self.auth(seen: Seen())])
    let good = try await send(
      .post, "sessions/refresh", services.backends, headers: page + [("Cookie", "fileferry_refresh=REFRESH")],
      body: "{}")
    #expect(good.response.headers[values: .setCookie].first?.hasPrefix("fileferry_access=ACCESS2;") == true)
    let bad = try await send(
      .post, "sessions/refresh", services.backends, headers: page + [("Cookie", "fileferry_refresh=USED")], body: "{}")
    #expect(bad.response.status.code == 401)
    #expect(bad.response.headers[values: .setCookie].allSatisfy { $0.contains("Max-Age=0") })
    #expect(bad.response.headers[values: .setCookie].count == 2)
    await services.stop()
  }

  @Test("another site can neither end nor renew a session with its cookies")
  func sessionsAreGuarded() async throws {
    let seen = Seen()
    let services = try await FakeServices(["auth": Self.auth(seen: seen)])
    let cookie = [("Cookie", "fileferry_access=ACCESS; fileferry_refresh=REFRESH"), ("Sec-Fetch-Site", "cross-site")]
    #expect(
      try await send(.delete, "sessions/current", services.backends, headers: cookie).response.status.code == 403)
    #expect(
      try await send(.post, "sessions/refresh", services.backends, headers: cookie).response.status.code == 403)
    #expect(seen.all.isEmpty)
    await services.stop()
  }

  @Test("signing out ends the session at auth, with the token, and takes the cookies")
  func signsOut() async throws {
    let seen = Seen()
    let services = try await FakeServices(["auth": Self.auth(seen: seen)])
    let (response, _) = try await send(
      .delete, "sessions/current", services.backends,
      headers: page + [("Cookie", "fileferry_access=ACCESS; fileferry_refresh=REFRESH")])
    #expect(response.status == .noContent)
    #expect(seen.all == [["REFRESH", "Bearer ACCESS"]])
    #expect(response.headers[values: .setCookie].count == 2)
    await services.stop()
  }

  @Test("a change with cookies from elsewhere never reaches a service; with a bearer token it does")
  func changesAreGuarded() async throws {
    let seen = Seen()
    let transfer = RPC.Router.with { router in
      router.handle(Transfer.cancelDelivery) {
        (request: CancelDeliveryRequest, context: CallContext) async throws(RPCError) in
        seen.add([request.id, context.metadata["authorization"] ?? ""])
        return .with { $0.id = request.id }
      }
    }
    let services = try await FakeServices(["transfer": transfer])
    let parameters: [(key: Substring, value: Substring)] = [("id", "dlv_1")]
    let refused = try await send(
      .post, "deliveries/{id}/cancel", services.backends, headers: [("Cookie", "fileferry_access=ACCESS")],
      parameters: parameters)
    #expect(refused.response.status.code == 403 && seen.all.isEmpty)
    let taken = try await send(
      .post, "deliveries/{id}/cancel", services.backends, headers: [("Authorization", "Bearer T")],
      parameters: parameters)
    #expect(taken.response.status == .ok)
    #expect(seen.all == [["dlv_1", "Bearer T"]])
    await services.stop()
  }

  @Test("a delivery starts with the Idempotency-Key of the header and answers 201 with its address")
  func starts() async throws {
    let seen = Seen()
    let transfer = RPC.Router.with { router in
      router.handle(Transfer.startDelivery) { (request: StartDeliveryRequest, _: CallContext) async throws(RPCError) in
        seen.add([request.idempotencyKey, request.request?.source?.bucket ?? ""])
        return .with {
          $0.id = "dlv_9"
          $0.userTicket = "REQ0000001"
        }
      }
    }
    let services = try await FakeServices(["transfer": transfer])
    let (response, json) = try await send(
      .post, "deliveries", services.backends, headers: [("Idempotency-Key", "k1")],
      body: #"{"request":{"source":{"bucket":"b"}}}"#)
    #expect(response.status == .created)
    #expect(response.headers[.location] == "/api/v1/deliveries/dlv_9")
    #expect(json["userTicket"] as? String == "REQ0000001")
    #expect(seen.all == [["k1", "b"]])
    await services.stop()
  }

  @Test("a receipt comes as a JWS file with a harmless name")
  func receipt() async throws {
    let transfer = RPC.Router.with { router in
      router.handle(Transfer.getReceipt) { (_: GetReceiptRequest, _: CallContext) async throws(RPCError) in
        .with {
          ($0.protected, $0.payload, $0.signature) = ("p", "x", "s")
          $0.receipt = .with { $0.userTicket = "REQ\"/../0000001\r\n" }
        }
      }
    }
    let services = try await FakeServices(["transfer": transfer])
    let (response, json) = try await send(
      .get, "deliveries/{id}/receipt", services.backends, parameters: [("id", "dlv_1")])
    #expect(response.headers[.contentType] == "application/jose+json")
    #expect(response.headers[.contentDisposition] == "attachment; filename=\"fileferry-receipt-REQ0000001.json\"")
    #expect(json as? [String: String] == ["protected": "p", "payload": "x", "signature": "s"])
    await services.stop()
  }

  @Test("the list of files of a long receipt is one text, from its parts in order")
  func receiptFiles() async throws {
    let transfer = RPC.Router.with { router in
      router.handle(Transfer.getReceipt) { (request: GetReceiptRequest, _: CallContext) async throws(RPCError) in
        .with { signed in
          signed.receipt = .with { $0.parts = request.deliveryID == "dlv_1" ? [ReceiptPart(), ReceiptPart(), ReceiptPart()] : [] }
        }
      }
      router.handle(Transfer.getReceiptPart) { (request: GetReceiptPartRequest, _: CallContext) async throws(RPCError) in
        .with { $0.text = "{\"key\":\"\(request.part)\"}\n" }
      }
    }
    let services = try await FakeServices(["transfer": transfer])
    let (response, text) = try await sendText(
      .get, "deliveries/{id}/receipt/files", services.backends, parameters: [("id", "dlv_1")])
    #expect(response.headers[.contentType] == "application/jsonl")
    #expect(text == "{\"key\":\"0\"}\n{\"key\":\"1\"}\n{\"key\":\"2\"}\n")
    let (short, _) = try await send(
      .get, "deliveries/{id}/receipt/files", services.backends, parameters: [("id", "dlv_2")])
    #expect(short.status == .badRequest)
    await services.stop()
  }

  @Test("a dashboard names the parts that cannot be had and holds the rest")
  func dashboard() async throws {
    let services = try await FakeServices(["auth": Self.auth(seen: Seen())])
    let (response, json) = try await send(
      .get, "dashboard", services.backends, headers: [("Authorization", "Bearer ACCESS")])
    #expect(response.status == .ok)
    #expect((json["user"] as? [String: Any])?["userName"] as? String == "ada")
    let missing = try #require(json["missing"] as? [[String: Any]])
    #expect(
      missing.compactMap { $0["part"] as? String }.sorted() == [
        "connections", "destinations", "notifications", "recent", "running",
      ])
    #expect(missing.allSatisfy { ($0["reason"] as? String)?.isEmpty == false })
    await services.stop()
  }

  @Test("a dashboard for nobody is refused with 401 and not an empty page")
  func dashboardForNobody() async throws {
    let services = try await FakeServices(["auth": Self.auth(seen: Seen())])
    #expect(try await send(.get, "dashboard", services.backends).response.status.code == 401)
    #expect(try await send(.get, "system", services.backends).response.status.code == 401)
    await services.stop()
  }

  @Test("a token that one service refuses is refused, also while auth itself does not answer")
  func refusedElsewhere() async throws {
    let transfer = RPC.Router.with { router in
      router.handle(Transfer.listDestinations) { (_: ListDestinationsRequest, _: CallContext) async throws(RPCError) in
        throw RPCError(.unauthenticated, "The token has expired.")
      }
    }
    let services = try await FakeServices(["transfer": transfer])
    let (response, json) = try await send(
      .get, "dashboard", services.backends, headers: [("Authorization", "Bearer X")])
    #expect(response.status.code == 401)
    #expect(json["detail"] as? String == "The token has expired.")
    await services.stop()
  }

  @Test("the system's status tells which services answer")
  func system() async throws {
    let services = try await FakeServices(["auth": Self.auth(seen: Seen())])
    let (_, json) = try await send(.get, "system", services.backends, headers: [("Authorization", "Bearer ACCESS")])
    let found = try #require(json["services"] as? [[String: Any]])
    let serving = found.filter { $0["serving"] as? Bool == true }.compactMap { $0["service"] as? String }
    #expect(serving == ["gateway", "auth"])
    #expect(found.count == 7)
    await services.stop()
  }

  @Test("a journey has the delivery's parts; without the delivery there is none")
  func journey() async throws {
    let transfer = RPC.Router.with { router in
      router.handle(Transfer.getDelivery) { (request: GetDeliveryRequest, _: CallContext) async throws(RPCError) in
        guard request.id == "dlv_1" else { throw RPCError(.notFound, "There is no such delivery.") }
        return .with {
          $0.id = "dlv_1"
          $0.ticketPairID = "p1"
        }
      }
    }
    let services = try await FakeServices(["transfer": transfer])
    let (_, json) = try await send(.get, "deliveries/{id}", services.backends, parameters: [("id", "dlv_1")])
    #expect((json["delivery"] as? [String: Any])?["id"] as? String == "dlv_1")
    let missing = (json["missing"] as? [[String: Any]] ?? []).compactMap { $0["part"] as? String }
    #expect(missing.sorted() == ["notifications", "tickets"])
    let none = try await send(.get, "deliveries/{id}", services.backends, parameters: [("id", "dlv_2")])
    #expect(none.response.status == .notFound)
    await services.stop()
  }

  @Test("a reader who has seen all of a delivery that is over is told to stop with 204")
  func nothingMore() async throws {
    let transfer = RPC.Router.with { router in
      router.handle(Transfer.getDelivery) { (_: GetDeliveryRequest, _: CallContext) async throws(RPCError) in
        .with {
          $0.status = .succeeded
          $0.sequence = 12
        }
      }
    }
    let services = try await FakeServices(["transfer": transfer])
    let (response, _) = try await send(
      .get, "deliveries/{id}/events", services.backends, headers: [("Last-Event-ID", "12")], parameters: [("id", "d")])
    #expect(response.status == .noContent)
    await services.stop()
  }

  @Test("every answer carries the security headers")
  func securityHeaders() async throws {
    let (response, _) = try await send(.get, "me", FakeServices.nowhere)
    #expect(response.status.code == 503)
    let policy = try #require(response.headers[.contentSecurityPolicy])
    #expect(policy.hasPrefix("default-src 'none'; script-src 'self'; style-src 'self';"))
    #expect(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"))
    #expect(response.headers[.xContentTypeOptions] == "nosniff")
    #expect(response.headers.value("referrer-policy") == "same-origin")
  }

  @Test("a known path with another method says which it takes")
  func notAllowed() {
    let response = RestAPI.notAllowed([.put, .get])
    #expect(response.status.code == 405)
    #expect(response.headers[.allow] == "GET, PUT")
  }
}
