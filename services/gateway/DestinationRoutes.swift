// Saved destinations, and the test of one.
import FerryAPI
import Hummingbird

enum DestinationRoutes {
  static let routes: [Route] = [
    .get(
      "destinations", "listDestinations", "Lists the saved destinations, without their secrets.",
      returns: .message(ListDestinationsResponse.self), list),
    .get(
      "destinations/{name}", "getDestination", "Shows one destination, without its secrets.",
      returns: .message(FerryAPI.Destination.self), get),
    .put(
      "destinations/{name}", "saveDestination", "Adds or changes a destination; the name in the path counts.",
      takes: SaveDestinationRequest.self, returns: .message(FerryAPI.Destination.self), save),
    .delete("destinations/{name}", "deleteDestination", "Removes a destination.", delete),
    .post(
      "destinations:test", "testDestination", "Tries a destination step by step, and leaves nothing behind.",
      takes: TestDestinationRequest.self, returns: .message(TestDestinationResponse.self), test),
  ]

  @Sendable static func list(_ call: RestCall) async throws -> Response { call.json(try await destinations(call)) }

  @Sendable static func get(_ call: RestCall) async throws -> Response {
    call.json(try call.named("destination", in: try await destinations(call).destinations, by: \.name))
  }

  private static func destinations(_ call: RestCall) async throws -> ListDestinationsResponse {
    try await call.backends.transfer.unary(Transfer.listDestinations, ListDestinationsRequest(), call.onward())
  }

  /// The body is a SaveDestinationRequest; the name in the path counts.
  @Sendable static func save(_ call: RestCall) async throws -> Response {
    var request: SaveDestinationRequest = try await call.body()
    var destination = request.destination ?? FerryAPI.Destination()
    destination.name = try call.path("name")
    request.destination = destination
    return call.json(try await call.backends.transfer.unary(Transfer.saveDestination, request, call.onward()))
  }

  @Sendable static func delete(_ call: RestCall) async throws -> Response {
    let name = try call.path("name")
    _ = try await call.backends.transfer.unary(Transfer.deleteDestination, .with { $0.name = name }, call.onward())
    return RestCall.empty
  }

  @Sendable static func test(_ call: RestCall) async throws -> Response {
    let request: TestDestinationRequest = try await call.body()
    return call.json(
      try await call.backends.transfer.unary(Transfer.testDestination, request, call.onward(Patience.outward)))
  }
}
