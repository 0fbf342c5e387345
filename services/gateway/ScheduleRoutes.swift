// Schedules: deliveries that start by themselves.
import FerryAPI
import Hummingbird
import RPC

enum ScheduleRoutes {
  static let routes: [Route] = [
    .get(
      "schedules", "listSchedules", "Lists the schedules that one may see.",
      returns: .message(ListSchedulesResponse.self), list),
    .get("schedules/{name}", "getSchedule", "Shows one schedule.", returns: .message(Schedule.self), get),
    .put(
      "schedules/{name}", "saveSchedule", "Adds or changes a schedule; the name in the path counts.",
      takes: SaveScheduleRequest.self, returns: .message(Schedule.self), save),
    .delete("schedules/{name}", "deleteSchedule", "Removes a schedule; what it started goes on.", delete),
    .post(
      "schedules/{name}/run", "runSchedule", "Starts a schedule's delivery now, besides its times.",
      takes: RunScheduleRequest.self, returns: .message(Delivery.self, status: 201), run),
  ]

  @Sendable static func list(_ call: RestCall) async throws -> Response { call.json(try await schedules(call)) }

  @Sendable static func get(_ call: RestCall) async throws -> Response {
    call.json(try call.named("schedule", in: try await schedules(call).schedules, by: \.name))
  }

  private static func schedules(_ call: RestCall) async throws -> ListSchedulesResponse {
    try await call.backends.transfer.unary(Transfer.listSchedules, ListSchedulesRequest(), call.onward())
  }

  @Sendable static func save(_ call: RestCall) async throws -> Response {
    var request: SaveScheduleRequest = try await call.body()
    var schedule = request.schedule ?? Schedule()
    schedule.name = try call.path("name")
    request.schedule = schedule
    return call.json(try await call.backends.transfer.unary(Transfer.saveSchedule, request, call.onward()))
  }

  @Sendable static func delete(_ call: RestCall) async throws -> Response {
    let name = try call.path("name")
    _ = try await call.backends.transfer.unary(Transfer.deleteSchedule, .with { $0.name = name }, call.onward())
    return RestCall.empty
  }

  @Sendable static func run(_ call: RestCall) async throws -> Response {
    var request: RunScheduleRequest = try await call.body()
    request.name = try call.path("name")
    let delivery = try await call.backends.transfer.unary(
      Transfer.runSchedule, request, call.onward(Patience.outward))
    var response = call.json(delivery, status: .created)
    response.headers[.location] = Deliveries.location(of: delivery.id)
    return response
  }
}
