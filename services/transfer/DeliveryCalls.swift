// The calls of fileferry.v1.Transfer about deliveries: what they check, whom they let see what, and what they answer.
// The work itself is the workflow's; pause, resume, cancel and retry are in DeliverySteering.
import DocumentStore
import FerryAPI
import RPC
import ServiceKit
import Workflow

struct DeliveryCalls: Sendable {
  static let maxPageSize = 1000
  static let defaultPageSize = 50
  static let maxDeliveriesPage = 100
  /// Records looked at for one page of a filtered list.
  static let maxScan = 1000
  /// How long a call waits for the tickets, or for a delivery to stop, before it answers with what there is.
  static let ticketWait = Duration.seconds(10)
  static let stopWait = Duration.seconds(5)
  static let retryWait = Duration.seconds(5)
  static let answerTime = Duration.milliseconds(500)

  let workflow: DeliveryWorkflow
  let engine: WorkflowEngine
  let starter: DeliveryStarter
  let prices: PriceList

  var archive: DeliveryArchive { workflow.archive }
  var hub: WatchHub { workflow.hub }

  func register(in router: inout Router) {
    router.handle(Transfer.planDelivery) { q, c throws(RPCError) in try await PlanCall(calls: self).answer(q, c) }
    router.handle(Transfer.startDelivery) { q, c throws(RPCError) in try await start(q, c) }
    router.handle(Transfer.startDeliveries) { q, c throws(RPCError) in try await DeliveryGroups(calls: self).start(q, c) }
    router.handle(Transfer.getDelivery) { q, c throws(RPCError) in try await visible(q.id, c) }
    router.handle(Transfer.listDeliveries) { q, c throws(RPCError) in try await list(q, c) }
    router.handle(Transfer.listDeliveryFiles) { q, c throws(RPCError) in try await listFiles(q, c) }
    router.handle(Transfer.listChunks) { q, c throws(RPCError) in try await listChunks(q, c) }
    router.handle(Transfer.watchDelivery) { q, c, w throws(RPCError) in try await watch(q, c, w) }
    router.handle(Transfer.pauseDelivery) { q, c throws(RPCError) in try await pause(q, c) }
    router.handle(Transfer.resumeDelivery) { q, c throws(RPCError) in try await resume(q, c) }
    router.handle(Transfer.cancelDelivery) { q, c throws(RPCError) in try await cancel(q, c) }
    router.handle(Transfer.retryDelivery) { q, c throws(RPCError) in try await retry(q, c) }
    router.handle(Transfer.getReceipt) { q, c throws(RPCError) in try await receipt(q, c) }
    router.handle(Transfer.getReceiptPart) { q, c throws(RPCError) in try await receiptPart(q, c) }
    let jwk = workflow.signer.jwk
    router.handle(Transfer.getReceiptKey) { _, _ throws(RPCError) in ReceiptKey.with { $0.jwkJSON = jwk } }
  }

  // MARK: Who sees what

  static func seesAll(_ caller: Caller) -> Bool {
    caller.has(anyOf: .operator, .auditor, .admin, .approver) || caller.isService
  }

  /// The delivery as it stands, or NOT_FOUND: also for one that is somebody else's, so that nobody learns of it.
  private func visible(_ id: String, _ context: CallContext) async throws(RPCError) -> Delivery {
    let caller = try context.caller
    guard let delivery = try await current(id), Self.seesAll(caller) || delivery.requester?.id == caller.id else {
      throw .notFound(
        "There is no delivery \(String(id.prefix(64)).debugDescription) that you may see.", next: "Check its id.",
        subject: String(id.prefix(64)))
    }
    return delivery
  }

  /// For those who may change it: its owner, operators and administrators.
  func changeable(_ id: String, _ context: CallContext) async throws(RPCError) -> Delivery {
    let delivery = try await visible(id, context)
    let caller = try context.caller
    guard delivery.requester?.id == caller.id || caller.has(anyOf: .operator, .admin) else {
      throw .denied(
        "Only its requester, operators and administrators may change the delivery \(delivery.id).",
        next: "Ask one of them.")
    }
    return delivery
  }

  func current(_ id: String) async throws(RPCError) -> Delivery? {
    if let live = await hub.live(id) { return live }
    guard var delivery = try await archive.delivery(id) else { return nil }
    if delivery.status == .pending, let before = await engine.waiting(before: RunID(id)) {
      let others = before == 1 ? "1 delivery that goes" : "\(before) deliveries that go"
      delivery.waitingFor = before == 0 ? "the next free place" : "a free place, after \(others) before it"
    }
    return delivery
  }

  // MARK: Start

  private func start(_ request: StartDeliveryRequest, _ context: CallContext) async throws(RPCError) -> Delivery {
    let person = try Self.person(context)
    let begun = try await starter.begin(
      request.request, request.credentials, by: person, key: request.idempotencyKey)
    try await setGoing(begun, request.request)
    return try await answer(begun, context)
  }

  static func person(_ context: CallContext) throws(RPCError) -> Person {
    let caller = try context.caller
    guard !caller.isService else {
      throw .denied("A delivery is asked for by a person.", next: "Call it with a person's token.")
    }
    return caller.person
  }

  /// Starts what is new; what is known must be of this request.
  func setGoing(_ begun: DeliveryStarter.Begun, _ request: DeliveryRequest?) async throws(RPCError) {
    switch begun {
    case .new(let delivery): try await starter.start(delivery)
    case .known(let known):
      guard known.request == request else {
        throw .precondition(
          "This idempotency key was used for another request, which made the delivery \(known.id).",
          next: "Use a new key for a new request.", problem: "IDEMPOTENCY_KEY_REUSED")
      }
    }
  }

  func answer(_ begun: DeliveryStarter.Begun, _ context: CallContext) async throws(RPCError) -> Delivery {
    switch begun {
    case .new(let delivery): return try await withTickets(delivery.id, context)
    case .known(let known): return try await current(known.id) ?? known
    }
  }

  /// A delivery that has just been started, once it has its tickets or has to wait for a free place.
  func withTickets(_ id: String, _ context: CallContext) async throws(RPCError) -> Delivery {
    try await settled(id, hub.watch(id), Self.wait(Self.ticketWait, context)) {
      !$0.userTicket.isEmpty || $0.status.isEnded || !$0.waitingFor.isEmpty
    }
  }

  /// Never so long that the caller's own deadline would pass without an answer.
  static func wait(_ longest: Duration, _ context: CallContext) -> Duration {
    guard let deadline = context.deadline else { return longest }
    return max(.zero, min(longest, deadline.remaining - answerTime))
  }

  /// The delivery once `isSettled`, or as it stands when the time is over.
  func settled(
    _ id: String, _ watcher: AsyncStream<WatchHub.Signal>?, _ time: Duration,
    _ isSettled: @escaping @Sendable (Delivery) -> Bool
  ) async throws(RPCError) -> Delivery {
    if let watcher {
      let timer = Task {
        // Only cancellation ends the sleep early; then nobody waits any more.
        try? await Task.sleep(for: time)
        hub.publish(id, sequence: 0)
      }
      defer { timer.cancel() }
      let end = ContinuousClock.now + time
      var last = try await current(id)
      var signals = watcher.makeAsyncIterator()
      while let delivery = last, !isSettled(delivery), ContinuousClock.now < end, await signals.next() != nil {
        last = try await current(id)
      }
    }
    guard let delivery = try await current(id) else { throw .fault("The delivery \(id) is gone from the journal.") }
    return delivery
  }

  // MARK: Lists

  private func list(
    _ request: ListDeliveriesRequest, _ context: CallContext
  ) async throws(RPCError) -> ListDeliveriesResponse {
    let caller = try context.caller
    let partition = Self.seesAll(caller) ? JournalKeys.all : JournalKeys.of(requester: caller.id)
    let size = min(try Self.pageSize(request.pageSize), Self.maxDeliveriesPage)
    let filter = try DeliveryFilter(request)
    var token = Self.token(request.pageToken)
    var response = ListDeliveriesResponse()
    var looked = 0
    repeat {
      let wanted = size - response.deliveries.count
      let page = try await archive.page(partition, order: .descending, limit: wanted, after: token)
      looked += page.documents.count
      token = page.next
      for document in page.documents {
        guard let delivery = try await current(document.key.sort) else { continue }
        // They come the newest first: what follows is older still.
        if filter.isPast(delivery) { return response }
        if filter.takes(delivery) { response.deliveries.append(delivery) }
      }
    } while token != nil && response.deliveries.count < size && looked < Self.maxScan
    response.nextPageToken = token?.rawValue ?? ""
    return response
  }

  private func listFiles(
    _ request: ListDeliveryFilesRequest, _ context: CallContext
  ) async throws(RPCError) -> ListDeliveryFilesResponse {
    let delivery = try await visible(request.deliveryID, context)
    let page = try await archive.page(
      JournalKeys.partition(delivery.id), prefix: JournalKeys.files, limit: try Self.pageSize(request.pageSize),
      after: Self.token(request.pageToken))
    var response = ListDeliveryFilesResponse()
    for document in page.documents { response.files.append(try archive.decoded(document)) }
    response.nextPageToken = page.next?.rawValue ?? ""
    return response
  }

  private func listChunks(
    _ request: ListChunksRequest, _ context: CallContext
  ) async throws(RPCError) -> ListChunksResponse {
    let delivery = try await visible(request.deliveryID, context)
    var response = ListChunksResponse()
    var token: PageToken?
    repeat {
      let page = try await archive.page(
        JournalKeys.partition(delivery.id), prefix: JournalKeys.chunks(request.fileIndex),
        limit: PageBounds.maximumDocuments, after: token)
      for document in page.documents { response.chunks.append(try archive.decoded(document)) }
      token = page.next
    } while token != nil && response.chunks.count < Planner.maxChunks
    return response
  }

  private static func pageSize(_ wanted: Int32) throws(RPCError) -> Int {
    guard wanted >= 0 else { throw .invalid("The page size \(wanted) is negative.", next: "Give 1 to \(maxPageSize).") }
    return wanted == 0 ? defaultPageSize : min(Int(wanted), maxPageSize)
  }

  private static func token(_ text: String) -> PageToken? { text.isEmpty ? nil : PageToken(rawValue: text) }

  // MARK: Watch

  private func watch(
    _ request: WatchDeliveryRequest, _ context: CallContext, _ writer: ResponseWriter<DeliveryEvent>
  ) async throws(RPCError) {
    let id = try await briefly { () async throws(RPCError) in try await visible(request.id, context).id }
    guard let signals = hub.watch(id) else {
      throw .told(
        .resourceExhausted, "TOO_MANY_WATCHERS", "\(WatchHub.maxWatchers) others watch this delivery already.",
        next: "Ask for it from time to time instead.", retryable: true)
    }
    try await DeliveryWatch(id: id, calls: self, writer: writer).follow(signals, after: max(0, request.afterSequence))
  }

  // MARK: Receipt

  private func receipt(_ request: GetReceiptRequest, _ context: CallContext) async throws(RPCError) -> SignedReceipt {
    let delivery = try await visible(request.deliveryID, context)
    guard delivery.hasReceipt, let receipt = try await archive.receipt(delivery.id) else {
      throw .precondition(
        "The delivery \(delivery.id) has no receipt: it has not delivered everything.",
        next: "Wait until it has succeeded.", problem: "NO_RECEIPT")
    }
    return receipt
  }

  private func receiptPart(
    _ request: GetReceiptPartRequest, _ context: CallContext
  ) async throws(RPCError) -> GetReceiptPartResponse {
    let delivery = try await visible(request.deliveryID, context)
    // Parts are written before the receipt that binds them: only with it do they count.
    guard delivery.hasReceipt, let text = try await archive.receiptPart(delivery.id, request.part) else {
      throw .notFound(
        "The receipt of delivery \(delivery.id) has no part \(request.part).",
        next: "Ask for the parts that the receipt counts, from 0.", subject: delivery.id)
    }
    return GetReceiptPartResponse.with { $0.text = text }
  }
}

extension DeliveryStatus {
  var isEnded: Bool { self == .succeeded || self == .failed || self == .cancelled }
}
