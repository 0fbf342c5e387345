// People and their roles: for administrators, and one's own password.
import FerryAPI
import Hummingbird

enum UserRoutes {
  static let routes: [Route] = [
    .get(
      "users", "listUsers", "Lists the people, in the order in which they were added.", RouteParameter.page,
      returns: .message(ListUsersResponse.self), list),
    .post(
      "users", "createUser", "Adds a person who signs in with a password.", takes: CreateUserRequest.self,
      returns: .message(User.self, status: 201), create),
    .patch(
      "users/{id}", "updateUser", "Changes a person's name, address, roles, password, or whether they may sign in.",
      takes: UpdateUserRequest.self, returns: .message(User.self), update),
    .post(
      "me/password", "changePassword", "Changes the caller's own password; their other sessions end.",
      takes: ChangePasswordRequest.self, returns: .nothing, changePassword),
  ]

  @Sendable static func list(_ call: RestCall) async throws -> Response {
    var request = ListUsersRequest()
    request.pageSize = try call.pageSize()
    request.pageToken = call.query("pageToken")
    return call.json(try await call.backends.auth.unary(Auth.listUsers, request, call.onward()))
  }

  @Sendable static func create(_ call: RestCall) async throws -> Response {
    call.json(
      try await call.backends.auth.unary(Auth.createUser, try await call.body(), call.onward()), status: .created)
  }

  /// The body is an UpdateUserRequest; the id in the path counts.
  @Sendable static func update(_ call: RestCall) async throws -> Response {
    var request: UpdateUserRequest = try await call.body()
    request.userID = try call.path("id")
    return call.json(try await call.backends.auth.unary(Auth.updateUser, request, call.onward()))
  }

  @Sendable static func changePassword(_ call: RestCall) async throws -> Response {
    _ = try await call.backends.auth.unary(Auth.changePassword, try await call.body(), call.onward())
    return RestCall.empty
  }
}
