// A dry run: what a request would move and where to, how long it would take, what the cloud would charge, and what
// would stop it. It reads and logs in; it writes nothing.
import Destinations
import DocumentStore
import FerryAPI
import RPC
import ServiceKit
import Synchronization
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
    let destination: any Destinations.Destination
    do throws(DestinationError) {
      destination = try DestinationRegistry.destination(choice.settings(known: known))
    } catch {
      throw .invalid(error.message, next: error.nextStep, problem: "DESTINATION_INVALID")
    }
    let plan = try await plan(wanted, choice, destination, context)
    await destination.close()
    return plan
  }

  private func plan(
    _ wanted: DeliveryRequest, _ choice: DestinationChoice, _ destination: any Destinations.Destination,
    _ context: CallContext
  ) async throws(RPCError) -> DeliveryPlan {
    var answer = DeliveryPlan()
    answer.destination = choice.url
    let login = await canLogIn(choice, destination)
    if case .failed(let problem) = login { answer.problems.append(problem) }
    let source = wanted.source ?? Source()
    let catalog = CountingCatalog(
      SourceAccess(broker: calls.workflow.broker, connection: source.connection, bucket: source.bucket) {
        () async throws(RPCError) in CallOptions.onward(from: context, timeout: SourceAccess.timeout)
      })
    // The tickets are not open yet.
    let planner = try Planner(
      wanted, ticket: "TICKET", now: Timestamp(milliseconds: SystemTime.now()), catalog: catalog,
      path: choice.address.path, isFolder: choice.isFolder
    ) {
      () async throws(DeliveryFailure) in
      // Without a login nobody can say; then the path is taken for the file's name, as it would be written there.
      guard case .succeeded = login else { return false }
      return try await reaching(connecting: true) { () throws(DestinationError) in
        try await destination.stat(choice.address.path)?.isDirectory ?? false
      }
    }
    var tally = PlanTally(chunkSize: wanted.options?.chunkSize ?? 0)
    do {
      let plan = try await planner.plan(source.selections) { page in
        for file in page { tally.add(file) }
        answer.sample += page.prefix(Self.sampleSize - answer.sample.count).map(\.file)
      }
      answer.problems += plan.problems
      answer.excluded = plan.excluded
    } catch let failure as DeliveryFailure {
      answer.problems.append(failure.problem)
    } catch {
      throw .fault("Planning failed: \(error)")
    }
    (answer.files, answer.bytes, answer.largestFile) = (tally.files, tally.bytes, tally.largest)
    if tally.files > 0 {
      let duration = PlanDuration(
        files: tally.files, bytes: tally.bytes, samples: try await calls.archive.durations(to: choice.address),
        server: choice.address.host)
      (answer.secondsLow, answer.secondsHigh, answer.durationBasis) = (duration.low, duration.high, duration.basis)
      let own = try (wanted.options?.bandwidth).map { (cap) throws(RPCError) in try RequestCheck.bandwidth(cap) }
      let now = SystemTime.now()
      let capped = [own, choice.bandwidth].compactMap { $0?.seconds(for: tally.bytes, from: now) }.max() ?? 0
      if capped > duration.low {
        (answer.secondsLow, answer.secondsHigh) = (max(duration.low, capped), max(duration.high, capped))
        answer.durationBasis += ", and the bandwidth that is allowed"
      }
    }
    let costs = await connection(source.connection, context).flatMap { PlanCosts(calls.prices, $0) }
    if let costs, tally.files > 0 {
      answer.costs = costs.lines(tally, lists: catalog.lists)
      answer.priceList = calls.prices.title
    }
    var loginTried = true
    if case .notTried = login { loginTried = false }
    answer.warnings = PlanWarnings.of(
      tally, scheme: choice.address.scheme, loginTried: loginTried, now: SystemTime.now() / 1000,
      isArchived: { costs?.isArchived($0) ?? false })
    return answer
  }

  /// The prices are an extra: a plan is an answer without them, too.
  private func connection(_ name: String, _ context: CallContext) async -> Connection? {
    do throws(RPCError) {
      let all = try await calls.workflow.broker.listConnections(
        ListConnectionsRequest(), CallOptions.onward(from: context, timeout: SourceAccess.timeout))
      return all.connections.first { $0.name == (name.isEmpty ? "default" : name) }
    } catch {
      return nil
    }
  }

  private enum Login: Sendable {
    case succeeded, notTried
    case failed(Problem)
  }

  private func canLogIn(_ choice: DestinationChoice, _ destination: any Destinations.Destination) async -> Login {
    let hasSecret = choice.credentials.map { !$0.password.isEmpty || !$0.privateKey.isEmpty } ?? false
    guard hasSecret || choice.isOfThisMachine else { return .notTried }
    do throws(DestinationError) {
      _ = try await destination.identity()
      return .succeeded
    } catch {
      return .failed(DeliveryFailure(error, connecting: true, subject: choice.address.endpoint.description).problem)
    }
  }
}

/// Counts the requests that a cloud charges for.
private final class CountingCatalog: SourceCatalog {
  private let source: SourceAccess
  private let count = Mutex<Int64>(0)

  init(_ source: SourceAccess) { self.source = source }

  var lists: Int64 { count.withLock { $0 } }

  func stat(_ key: String) async throws(DeliveryFailure) -> ObjectInfo? { try await source.stat(key) }

  func list(prefix: String, pageToken: String) async throws(DeliveryFailure) -> (objects: [ObjectInfo], next: String) {
    count.withLock { $0 += 1 }
    return try await source.list(prefix: prefix, pageToken: pageToken)
  }
}
