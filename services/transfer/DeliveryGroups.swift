// Deliveries of the same files to several servers, started together: each has its own tickets, states and receipt, and may fail,
// be paused and retried by itself; the source is read once for all of them (SharedReads.swift).
import FerryAPI
import RPC
import ServiceKit

struct DeliveryGroups: Sendable {
  /// Servers of a group.
  static let targets = 2...16

  let calls: DeliveryCalls

  func start(
    _ request: StartDeliveriesRequest, _ context: CallContext
  ) async throws(RPCError) -> StartDeliveriesResponse {
    let person = try DeliveryCalls.person(context)
    let wanted = try await requests(request)
    var group = RandomID.make(prefix: "grp_")
    var begun: [DeliveryStarter.Begun] = []
    for (index, one) in wanted.enumerated() {
      // Each has a key of its own below that of all.
      let key = request.idempotencyKey.isEmpty ? "" : "\(request.idempotencyKey)/\(index)"
      let made = try await calls.starter.begin(
        one, request.targets[index].credentials, by: person, key: key, group: group)
      if case .known(let known) = made { group = known.groupID }
      begun.append(made)
    }
    // None waits for another's tickets.
    for (made, one) in zip(begun, wanted) { try await calls.setGoing(made, one) }
    var response = StartDeliveriesResponse()
    for made in begun { response.deliveries.append(try await calls.answer(made, context)) }
    return response
  }

  /// One for each target, all of them checked before any is begun.
  private func requests(_ request: StartDeliveriesRequest) async throws(RPCError) -> [DeliveryRequest] {
    guard Self.targets.contains(request.targets.count) else {
      throw .invalid(
        "The request has \(request.targets.count) targets.",
        next: "Give \(Self.targets.lowerBound) to \(Self.targets.upperBound); start a delivery for a single one.")
    }
    guard request.request?.destination == nil, request.request?.path.isEmpty != false else {
      throw .invalid(
        "The request has a destination of its own beside its targets.", next: "Say where to in the targets alone.")
    }
    var (wanted, urls): ([DeliveryRequest], Set<String>) = ([], [])
    for target in request.targets {
      var one = request.request ?? DeliveryRequest()
      (one.destination, one.path) = (target.destination, target.path)
      let checked = try RequestCheck.check(one)
      let choice = try await DestinationChoice.resolve(
        checked.destination, path: checked.path, given: target.credentials, store: calls.workflow.destinations)
      guard urls.insert(choice.url).inserted else {
        throw .invalid(
          "Two of the targets are \(choice.url).", next: "Give each server and folder once.", problem: "TARGET_TWICE",
          subject: choice.url)
      }
      wanted.append(checked)
    }
    return wanted
  }
}
