// A dry run: what a request would move and where to, and what would stop it. It reads and logs in; it writes nothing.
import Destinations
import FerryAPI
import RPC
import ServiceKit
import Transport

struct PlanCall: Sendable {
  static let sampleSize = 100

  let calls: DeliveryCalls

  func answer(_ request: PlanDeliveryRequest, _ context: CallContext) async throws(RPCError) -> DeliveryPlan {
    let wanted = try RequestCheck.check(request.request)
    let store = calls.workflow.destinations
    let choice = try await DestinationChoice.resolve(
      wanted.destination, path: wanted.path, given: request.credentials, store: store)
    let known = try await store.knownHostKeys(choice.address.endpoint)
    let destination = SFTPDestination(choice.settings(known: known))
    let plan = await plan(wanted, choice, destination, context)
    await destination.close()
    return plan
  }

  private func plan(
    _ wanted: DeliveryRequest, _ choice: DestinationChoice, _ destination: SFTPDestination, _ context: CallContext
  ) async -> DeliveryPlan {
    var problems: [Problem] = []
    let login = await canLogIn(choice, destination)
    if case .failed(let problem) = login { problems.append(problem) }
    let source = wanted.source ?? Source()
    let catalog = SourceAccess(
      broker: calls.workflow.broker, connection: source.connection, bucket: source.bucket
    ) { () async throws(RPCError) in CallOptions.onward(from: context, timeout: SourceAccess.timeout) }
    let planner = Planner(catalog: catalog, path: choice.address.path, isFolder: choice.isFolder) {
      () async throws(DeliveryFailure) in
      // Without a login nobody can say; then the path is taken for the file's name, as it would be written there.
      guard case .succeeded = login else { return false }
      return try await reaching(connecting: true) { () throws(DestinationError) in
        try await destination.stat(choice.address.path)?.isDirectory ?? false
      }
    }
    var answer = DeliveryPlan()
    answer.destination = choice.url
    do throws(DeliveryFailure) {
      let plan = try await planner.plan(source.selections)
      answer.files = Int64(plan.files.count)
      answer.bytes = plan.bytes
      answer.sample = plan.files.prefix(Self.sampleSize).map(\.file)
      problems += plan.problems
    } catch {
      problems.append(error.problem)
    }
    answer.problems = problems
    return answer
  }

  private enum Login: Sendable {
    case succeeded, notTried
    case failed(Problem)
  }

  private func canLogIn(_ choice: DestinationChoice, _ destination: SFTPDestination) async -> Login {
    guard choice.credentials.map({ !$0.password.isEmpty || !$0.privateKey.isEmpty }) ?? false else { return .notTried }
    do throws(DestinationError) {
      _ = try await destination.server()
      return .succeeded
    } catch {
      return .failed(DeliveryFailure(error, connecting: true, subject: choice.address.endpoint.description).problem)
    }
  }
}
