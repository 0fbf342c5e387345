// The first page's data and the system's status.
import FerryAPI
import Hummingbird

enum Overviews {
  static let routes: [Route] = [
    .get(
      "dashboard", "getDashboard", "All that a first page shows; what can't be had is named in missing.",
      returns: .message(Dashboard.self), dashboard),
    .get(
      "system", "getSystemStatus", "Says which services answer.", returns: .message(SystemStatus.self), system),
  ]

  @Sendable static func dashboard(_ call: RestCall) async throws -> Response {
    call.json(try await Overview(backends: call.backends).dashboard(call.onward()))
  }

  /// For those who are signed in: auth is asked first, as no other service is asked with their token.
  @Sendable static func system(_ call: RestCall) async throws -> Response {
    _ = try await call.backends.auth.unary(Auth.whoAmI, WhoAmIRequest(), call.onward(Patience.part))
    return call.json(await Overview(backends: call.backends).systemStatus())
  }
}
