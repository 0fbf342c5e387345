// The table of the REST routes, and what is the same for all of them: who may change with cookies, how failures are
// told, the security headers, one log line a request. Each route is a short function in the file of its theme.
import HTTPTypes
import Hummingbird
import Logging
import RPC
import ServiceKit

/// One method on one path below /api/v1.
struct Route: Sendable {
  let method: HTTPRequest.Method
  let path: String
  /// False only where a session begins, is renewed or ends: those check for themselves.
  var checksChange = true
  let answer: @Sendable (RestCall) async throws -> Response

  static func get(_ path: String, _ answer: @escaping @Sendable (RestCall) async throws -> Response) -> Route {
    Route(method: .get, path: path, answer: answer)
  }
  static func put(_ path: String, _ answer: @escaping @Sendable (RestCall) async throws -> Response) -> Route {
    Route(method: .put, path: path, answer: answer)
  }
  static func post(_ path: String, _ answer: @escaping @Sendable (RestCall) async throws -> Response) -> Route {
    Route(method: .post, path: path, answer: answer)
  }
  static func delete(_ path: String, _ answer: @escaping @Sendable (RestCall) async throws -> Response) -> Route {
    Route(method: .delete, path: path, answer: answer)
  }
}

struct RestAPI: Sendable {
  static let prefix = "/api/v1"
  static let methods: [HTTPRequest.Method] = [.get, .put, .post, .delete, .patch]

  let backends: Backends
  let streams = EventStreams()
  let logger: Logger

  var routes: [Route] {
    Sessions.routes + Overviews.routes + Storage.routes + DestinationRoutes.routes
      + Deliveries.routes(streams) + Tickets.routes + NotificationRoutes.routes(streams)
  }

  /// Adds the routes to an HTTP router. A known path with another method is answered with what it allows.
  func register(in router: Hummingbird.Router<BasicRequestContext>) {
    let routes = routes
    for route in routes {
      router.on(RouterPath(Self.prefix + "/" + route.path), method: route.method) { request, context in
        await answer(route, request, context.parameters)
      }
    }
    for (path, allowed) in Dictionary(grouping: routes, by: \.path).mapValues({ $0.map(\.method) }) {
      for method in Self.methods where !allowed.contains(method) {
        router.on(RouterPath(Self.prefix + "/" + path), method: method) { _, _ in Self.notAllowed(allowed) }
      }
    }
  }

  /// Answers a request on a route; whatever fails becomes problem details.
  func answer(_ route: Route, _ request: Request, _ parameters: Parameters) async -> Response {
    // Calls to the services and the log line belong to the caller's trace, or to a new one.
    let trace = request.headers.value("traceparent").flatMap(TraceContext.init(traceparent:))?.child() ?? .start()
    return await TraceContext.$current.withValue(trace) { await traced(route, request, parameters) }
  }

  private func traced(_ route: Route, _ request: Request, _ parameters: Parameters) async -> Response {
    let began = ContinuousClock.now
    var response: Response
    do {
      let call = try RestCall(request, parameters: parameters, backends: backends)
      if route.checksChange, case .cookie = call.credential, request.method != .get {
        try BrowserSession.checkChange(request.headers)
      }
      response = try await route.answer(call)
    } catch let problem as ProblemDetails {
      response = problem.response()
    } catch let error as RPCError {
      response = ProblemDetails(error).response()
    } catch {
      logger.error("request failed", metadata: ["route": "\(route.path)", "error": "\(error)"])
      response = ProblemDetails(RPCError(.internal, "The gateway could not carry out the request.")).response()
    }
    SecurityHeaders.add(to: &response)
    let spent = (ContinuousClock.now - began) / .milliseconds(1)
    logger.info(
      "http",
      metadata: [
        "method": "\(request.method.rawValue)", "route": "\(route.path)", "status": "\(response.status.code)",
        "ms": "\(Int(spent))",
      ])
    return response
  }

  static func notAllowed(_ allowed: [HTTPRequest.Method]) -> Response {
    let names = allowed.map(\.rawValue).sorted().joined(separator: ", ")
    var response = ProblemDetails(
      405, "METHOD_NOT_ALLOWED", "This address does not take that method.", next: "Use one of \(names)."
    ).response()
    response.headers[.allow] = names
    SecurityHeaders.add(to: &response)
    return response
  }

  static func notFound(_ path: String) -> Response {
    var response = ProblemDetails(
      404, "NO_SUCH_ADDRESS", "There is nothing at \(path.prefix(200)).", next: "Check the address."
    ).response()
    SecurityHeaders.add(to: &response)
    return response
  }
}

/// Headers of every response, page and API alike.
enum SecurityHeaders {
  static let contentSecurityPolicy = [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'",
    "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
  ].joined(separator: "; ")

  static func add(to response: inout Response) {
    response.headers[.contentSecurityPolicy] = contentSecurityPolicy
    response.headers[.xContentTypeOptions] = "nosniff"
    response.headers[.crossOriginResourcePolicy] = "same-origin"
    response.headers.put("Referrer-Policy", "same-origin")
    response.headers.put("Cross-Origin-Opener-Policy", "same-origin")
  }
}

extension HTTPFields {
  /// Sets a field whose name has no constant in the HTTP library.
  mutating func put(_ name: String, _ value: String) {
    guard let name = HTTPField.Name(name) else { return assertionFailure("\(name) is no field name") }
    self[name] = value
  }
}
