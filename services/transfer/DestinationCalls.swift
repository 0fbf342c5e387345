// The calls of fileferry.v1.Transfer about saved destinations, and the trying out of one.
import Destinations
import DocumentStore
import FerryAPI
import RPC
import ServiceKit
import Transport

struct DestinationCalls: Sendable {
  let store: DestinationStore

  func register(in router: inout Router) {
    router.handle(Transfer.saveDestination) { request, _ throws(RPCError) in try await save(request) }
    router.handle(Transfer.listDestinations) { _, _ throws(RPCError) in
      let all = try await store.all()
      return ListDestinationsResponse.with { $0.destinations = all }
    }
    router.handle(Transfer.deleteDestination) { request, _ throws(RPCError) in try await delete(request) }
    router.handle(Transfer.testDestination) { request, _ throws(RPCError) in try await test(request) }
  }

  private func save(_ request: SaveDestinationRequest) async throws(RPCError) -> FerryAPI.Destination {
    guard var destination = request.destination else {
      throw .invalid("The call holds no destination.", next: "Give its name and URL.")
    }
    try SavedName.check(destination.name, of: "destination")
    try DestinationChoice.check(request.credentials)
    let choice = try DestinationChoice.spelledOut(destination)
    var credentials = request.credentials
    if credentials == nil, let before = try await store.load(destination.name) {
      // Stored secrets stay with the server and login they were given for.
      let old = try DestinationChoice.spelledOut(before.destination).address
      let new = choice.address
      guard (old.scheme, old.user, old.host, old.port) == (new.scheme, new.user, new.host, new.port) else {
        throw .invalid(
          "The destination now leads to another server or user than its stored credentials are for.",
          next: "Give the credentials for it.")
      }
      credentials = before.credentials
    }
    let kept = credentials ?? DestinationCredentials()
    destination.hasPassword = !kept.password.isEmpty
    destination.hasPrivateKey = !kept.privateKey.isEmpty
    destination.updatedAt = Timestamp(milliseconds: SystemTime.now())
    try await store.save(DestinationStore.Saved(destination: destination, credentials: kept))
    return destination
  }

  private func delete(_ request: DeleteDestinationRequest) async throws(RPCError) -> DeleteDestinationResponse {
    guard !request.name.isEmpty, try await store.load(request.name) != nil else {
      throw .told(
        .notFound, "DESTINATION_UNKNOWN",
        "There is no destination named \(String(request.name.prefix(100)).debugDescription).",
        next: "Check the name in the list of destinations.", subject: String(request.name.prefix(100)))
    }
    try await store.delete(request.name)
    return DeleteDestinationResponse()
  }

  // MARK: Test

  private func test(_ request: TestDestinationRequest) async throws(RPCError) -> TestDestinationResponse {
    let choice = try await DestinationChoice.resolve(
      request.destination, path: "", given: request.credentials, store: store)
    let known = try await store.knownHostKeys(choice.address.endpoint)
    let steps: [Destinations.ProbeStep]
    do throws(DestinationError) {
      let destination = try DestinationRegistry.destination(choice.settings(known: known))
      steps = await destination.probe()
      await destination.close()
    } catch {
      throw .invalid(error.message, next: error.nextStep, problem: "DESTINATION_INVALID")
    }
    let endpoint = choice.address.endpoint.description
    return TestDestinationResponse.with { response in
      response.steps = steps.map { Self.step($0, endpoint) }
      response.ok = !steps.isEmpty && steps.allSatisfy(\.ok)
      response.hostKey = steps.compactMap(\.hostKey).last ?? ""
    }
  }

  private static func step(_ step: Destinations.ProbeStep, _ endpoint: String) -> FerryAPI.ProbeStep {
    FerryAPI.ProbeStep.with {
      ($0.name, $0.ok, $0.detail) = (step.name, step.ok, step.detail)
      let (seconds, attoseconds) = step.duration.components
      $0.durationUS = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
      $0.problem = step.error.map { DeliveryFailure($0, connecting: true, subject: endpoint).problem }
    }
  }
}
