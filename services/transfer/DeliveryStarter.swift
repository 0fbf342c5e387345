// Hands deliveries to the workflow engine so that none is lost between the journal and the engine: whoever writes one
// down leaves a mark first, and marks that are still there when the service starts are seen to.
import DocumentStore
import FerryAPI
import Logging
import RPC
import ServiceKit
import Workflow

struct DeliveryStarter: Sendable {
  /// What a request to begin came to.
  enum Begun: Sendable {
    /// It is written down, and is to be started.
    case new(Delivery)
    /// Its key made this one before.
    case known(Delivery)
  }

  let archive: DeliveryArchive
  let destinations: DestinationStore
  let engine: WorkflowEngine
  let logger: Logger

  /// Checks what is asked for and writes it down.
  /// - Parameters:
  ///   - key: of the requester's; the same one gives the same delivery again. Empty: none.
  ///   - schedule: that asks for it on the requester's behalf; empty: the requester does.
  ///   - group: that it is started with; empty: it is started alone.
  func begin(
    _ request: DeliveryRequest?, _ credentials: DestinationCredentials? = nil, by requester: Person, key: String,
    schedule: String = "", group: String = ""
  ) async throws(RPCError) -> Begun {
    let wanted = try RequestCheck.check(request)
    try RequestCheck.idempotencyKey(key)
    let choice = try await DestinationChoice.resolve(
      wanted.destination, path: wanted.path, given: credentials, store: destinations)
    var delivery = Delivery()
    delivery.id = RandomID.make(prefix: "dlv_")
    delivery.request = wanted
    delivery.status = .pending
    delivery.requester = requester
    delivery.states = StateTracker().states
    delivery.destination = choice.url
    delivery.createdAt = Timestamp(milliseconds: SystemTime.now())
    (delivery.schedule, delivery.groupID) = (schedule, group)
    if !key.isEmpty {
      let first = try await archive.claim(key, of: requester.id, for: delivery.id)
      if first != delivery.id {
        if let known = try await archive.delivery(first) { return .known(known) }
        delivery.id = first  // the call that made it died before it wrote anything down
      }
    }
    do throws(RPCError) { try await archive.create(delivery, credentials) } catch {
      // Two calls with one key at once: the other one was quicker.
      guard error.code == .aborted, let known = try await archive.delivery(delivery.id) else { throw error }
      return .known(known)
    }
    return .new(delivery)
  }

  /// Starts a delivery that is written down, or sets it going again. Safe to repeat.
  func start(_ delivery: Delivery) async throws(RPCError) {
    let id = RunID(delivery.id)
    do throws(WorkflowError) {
      let run = try await engine.start(
        id, kind: JournalKeys.kind, input: [], priority: Self.priority(delivery.request?.priority ?? .unspecified))
      if run.status == .failed || run.status == .cancelled { _ = try await engine.retry(id) }
    } catch {
      throw Self.told(error)
    }
    try await archive.delete(JournalKeys.starting, delivery.id)
  }

  /// Those whose start was cut short by the end of an earlier process.
  func finishStarting() async throws {
    let page = try await archive.page(JournalKeys.starting, limit: PageBounds.maximumDocuments)
    for document in page.documents {
      let id = document.key.sort
      if let delivery = try await archive.delivery(id), delivery.status == .pending || delivery.status == .paused {
        logger.notice(
          "a delivery is set going that an earlier process had only written down", metadata: ["delivery": "\(id)"])
        try await start(delivery)
      } else {
        // Nothing was promised to anybody: the call that made it never answered.
        try await archive.delete(JournalKeys.starting, id)
      }
    }
  }

  private static func priority(_ priority: Priority) -> RunPriority {
    switch priority {
    case .low: .low
    case .high: .high
    case .critical: .critical
    default: .normal
    }
  }

  static func told(_ error: WorkflowError) -> RPCError {
    if case .store(let cause) = error.kind { return RPCError(cause) }
    return .fault("The workflow engine refused the delivery: \(error.message)")
  }
}
