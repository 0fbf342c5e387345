// The table of the REST routes, and what is the same for all of them: who may change with cookies, how failures are
// told, the security headers, one log line a request. Each route is a short function in the file of its theme.
import HTTPTypes
import Hummingbird
import Logging
import RPC
import ServiceKit

struct RestAPI: Sendable {
  static let prefix = "/api/v1"

  let backends: Backends
  let logger: Logger
  let routes: [Route]
  /// Requests come in over TLS.
  private let isTLS: Bool

  init(backends: Backends, logger: Logger, isTLS: Bool = false) {
    (self.backends, self.logger, self.isTLS) = (backends, logger, isTLS)
    let streams = EventStreams()
    let routes =
      Sessions.routes + UserRoutes.routes + Overviews.routes + Storage.routes + DestinationRoutes.routes
      + Deliveries.routes(streams) + ScheduleRoutes.routes + Tickets.routes + NotificationRoutes.routes(streams)
    self.routes = routes + [Self.description(of: routes)]
  }

  /// The OpenAPI document, itself included. Made once.
  private static func description(of routes: [Route]) -> Route {
    func route(_ document: ByteBuffer) -> Route {
      .get(
        "openapi.json", "getOpenAPI", "Describes this API (OpenAPI 3.1).",
        returns: .text(mediaType: "application/json"), isOpen: true
      ) { _ in
        Response(
          status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-cache"],
          body: ResponseBody(byteBuffer: document))
      }
    }
    return route(ByteBuffer(bytes: OpenAPIDocument(routes + [route(ByteBuffer())]).json))
  }

  /// Adds the routes to an HTTP router.
  func register(in router: Hummingbird.Router<BasicRequestContext>) {
    for route in routes {
      router.on(RouterPath(Self.prefix + "/" + route.path), method: route.method) { request, context in
        // Briefly: the connection lasts, and may be one of thousands.
        let parameters = context.parameters
        return await briefly { await answer(route, request, parameters) }
      }
    }
  }

  /// What no route takes: a known path with another method is answered with what it allows.
  func unanswered(_ path: String) -> Response {
    let allowed = routes.filter { Self.matches(path, Self.prefix + "/" + $0.path) }.map(\.method)
    return allowed.isEmpty ? Self.notFound(path) : Self.notAllowed(allowed)
  }

  private static func matches(_ path: String, _ pattern: String) -> Bool {
    let (parts, wanted) = (path.split(separator: "/"), pattern.split(separator: "/"))
    return parts.count == wanted.count && zip(parts, wanted).allSatisfy { $1.hasPrefix("{") || $0 == $1 }
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
      let call = try RestCall(request, parameters: parameters, backends: backends, isTLS: isTLS)
      if route.checksChange, case .cookie = call.credential, request.method != .get {
        try BrowserSession.checkChange(request.headers, host: request.head.authority)
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
