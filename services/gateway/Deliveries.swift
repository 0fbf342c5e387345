// Deliveries: plan, start, list, look, follow, pause, resume, cancel, retry, and the receipt with its key.
import FerryAPI
import Hummingbird
import ProtoWire
import RPC

enum Deliveries {
  static func routes(_ streams: EventStreams) -> [Route] {
    [
      .post(
        "deliveries", "startDelivery", "Starts a delivery, and opens its two tickets.", [idempotencyKey],
        takes: StartDeliveryRequest.self, returns: .message(Delivery.self, status: 201), start),
      .post(
        "deliveries/group", "startDeliveries", "Starts a delivery of the same files to each of several servers.",
        [idempotencyKey], takes: StartDeliveriesRequest.self, returns: .message(StartDeliveriesResponse.self, status: 201),
        startGroup),
      .get(
        "deliveries", "listDeliveries", "Lists deliveries, the newest first.",
        filters + RouteParameter.page,
        returns: .message(ListDeliveriesResponse.self), list),
      .post(
        "deliveries/plan", "planDelivery", "A dry run: what would move, how long it takes, what the cloud charges.",
        takes: PlanDeliveryRequest.self, returns: .message(DeliveryPlan.self), plan),
      .get(
        "deliveries/{id}", "getDelivery", "Shows a delivery with its tickets, receipt and notifications.",
        returns: .message(Journey.self), journey),
      .get(
        "deliveries/{id}/files", "listDeliveryFiles", "Lists a delivery's files.", RouteParameter.page,
        returns: .message(ListDeliveryFilesResponse.self), files),
      .get(
        "deliveries/{id}/events", "watchDelivery", "Follows a delivery until it has ended.", [.lastEventID],
        returns: .events
      ) { try await events($0, streams) },
      .post(
        "deliveries/{id}/pause", "pauseDelivery", "Puts a delivery aside; what is proven stays.",
        takes: PauseDeliveryRequest.self, returns: .message(Delivery.self),
        steer(Transfer.pauseDelivery, \.id)),
      .post(
        "deliveries/{id}/resume", "resumeDelivery", "Goes on with a paused delivery.",
        takes: ResumeDeliveryRequest.self, returns: .message(Delivery.self),
        steer(Transfer.resumeDelivery, \.id)),
      .post(
        "deliveries/{id}/cancel", "cancelDelivery", "Stops a delivery, and takes away what is not proven.",
        takes: CancelDeliveryRequest.self, returns: .message(Delivery.self),
        steer(Transfer.cancelDelivery, \.id)),
      .post(
        "deliveries/{id}/retry", "retryDelivery", "Goes on with a failed or cancelled delivery.",
        takes: RetryDeliveryRequest.self, returns: .message(Delivery.self),
        steer(Transfer.retryDelivery, \.id)),
      .post(
        "deliveries/{id}/chat", "chat", "Answers a question about a delivery: the last of the messages.",
        takes: ChatRequest.self, returns: .message(ChatAnswer.self), chat),
      .get(
        "deliveries/{id}/receipt", "getReceipt", "The signed receipt, a JSON Web Signature (RFC 7515).",
        returns: .text(mediaType: "application/jose+json"), receipt),
      .get(
        "deliveries/{id}/receipt/files", "getReceiptFiles", "The list of files that a long receipt is bound to.",
        returns: .text(mediaType: "application/jsonl"), receiptFiles),
      .get(
        "receipt-key", "getReceiptKey", "The public key that receipts are checked with (RFC 8037).",
        returns: .text(mediaType: "application/jwk+json"), isOpen: true, receiptKey),
    ]
  }

  /// The body is a StartDeliveryRequest; the header Idempotency-Key, where there is one, counts as its key.
  @Sendable static func start(_ call: RestCall) async throws -> Response {
    var request: StartDeliveryRequest = try await call.body()
    if let key = try idempotencyKey(of: call) { request.idempotencyKey = key }
    let delivery = try await call.backends.transfer.unary(
      Transfer.startDelivery, request, call.onward(Patience.outward))
    var response = call.json(delivery, status: .created)
    response.headers[.location] = location(of: delivery.id)
    return response
  }

  /// As `start`, to several servers.
  @Sendable static func startGroup(_ call: RestCall) async throws -> Response {
    var request: StartDeliveriesRequest = try await call.body()
    if let key = try idempotencyKey(of: call) { request.idempotencyKey = key }
    let started = try await call.backends.transfer.unary(
      Transfer.startDeliveries, request, call.onward(Patience.outward))
    return call.json(started, status: .created)
  }

  private static func idempotencyKey(of call: RestCall) throws -> String? {
    guard let key = call.request.headers.value("idempotency-key") else { return nil }
    guard !key.isEmpty, key.utf8.count <= idempotencyKeyBytes else {
      throw RestCall.bad(
        "Idempotency-Key is not a text of 1 to \(idempotencyKeyBytes) bytes.",
        next: "Send a random one, such as a UUID.")
    }
    return key
  }

  static func location(of id: String) -> String { "\(RestAPI.prefix)/deliveries/\(id)" }

  static let idempotencyKeyBytes = 255
  private static let idempotencyKey = RouteParameter(
    name: "Idempotency-Key", summary: "The same key gives the same delivery again.", isHeader: true)

  @Sendable static func plan(_ call: RestCall) async throws -> Response {
    let request: PlanDeliveryRequest = try await call.body()
    return call.json(
      try await call.backends.transfer.unary(Transfer.planDelivery, request, call.onward(Patience.plan)))
  }

  private static let filters: [RouteParameter] = [
    .choice("status", DeliveryStatus.self, "Only those in a state."),
    RouteParameter(
      name: "search", summary: "Words that all stand in the files, tickets, title, destination or requester's name."),
    RouteParameter(name: "createdFrom", summary: "Only those made then or later.", kind: .timestamp),
    RouteParameter(name: "createdBefore", summary: "Only those made earlier.", kind: .timestamp),
    RouteParameter(name: "schedule", summary: "Only those that a schedule of this name started."),
    RouteParameter(name: "groupId", summary: "Only those that were started together as this group."),
  ]

  @Sendable static func list(_ call: RestCall) async throws -> Response {
    var request = ListDeliveriesRequest()
    request.status = try call.choice("status")
    request.search = call.query("search")
    request.createdFrom = try call.timestamp("createdFrom")
    request.createdBefore = try call.timestamp("createdBefore")
    request.schedule = call.query("schedule")
    request.groupID = call.query("groupId")
    request.pageSize = try call.pageSize()
    request.pageToken = call.query("pageToken")
    return call.json(try await call.backends.transfer.unary(Transfer.listDeliveries, request, call.onward()))
  }

  @Sendable static func journey(_ call: RestCall) async throws -> Response {
    call.json(try await Overview(backends: call.backends).journey(try call.path("id"), call.onward()))
  }

  @Sendable static func files(_ call: RestCall) async throws -> Response {
    var request = ListDeliveryFilesRequest()
    request.deliveryID = try call.path("id")
    request.pageSize = try call.pageSize()
    request.pageToken = call.query("pageToken")
    return call.json(try await call.backends.transfer.unary(Transfer.listDeliveryFiles, request, call.onward()))
  }

  /// What is talked about is the delivery as the caller may see it now; one in the body does not count.
  @Sendable static func chat(_ call: RestCall) async throws -> Response {
    var request: ChatRequest = try await call.body()
    let id = try call.path("id")
    let backends = call.backends
    let delivery = try await backends.transfer.unary(Transfer.getDelivery, .with { $0.id = id }, call.onward(Patience.part))
    request.delivery = delivery
    request.files = []
    if delivery.filesFailed > 0 {
      let files = try await backends.transfer.unary(
        Transfer.listDeliveryFiles, .with { ($0.deliveryID, $0.pageSize) = (id, RestBounds.pageSize) },
        call.onward(Patience.part))
      request.files = Array(files.files.filter { $0.status == .failed }.prefix(chatFiles))
    }
    var answer = ChatAnswer()
    for try await piece in try await backends.assist.serverStreaming(Assist.chat, request, call.onward()) {
      answer.append(piece)
      guard answer.text.utf8.count <= chatAnswerBytes else {
        throw RPCError(.resourceExhausted, "The assistant's answer has no end.")
      }
    }
    return call.json(answer)
  }

  /// Failed files that the assistant gets to know.
  private static let chatFiles = 20
  private static let chatAnswerBytes = 64 << 10

  /// A handler of one of the calls that steer a delivery: its body is the call's request, the path has the id.
  private static func steer<Request: Message>(
    _ method: UnaryMethod<Request, Delivery>, _ id: WritableKeyPath<Request, String> & Sendable
  ) -> Route.Handler {
    { call in
      var request: Request = try await call.body()
      request[keyPath: id] = try call.path("id")
      return call.json(try await call.backends.transfer.unary(method, request, call.onward()))
    }
  }

  /// The signed receipt as a file: a JSON Web Signature in its flattened JSON form (RFC 7515 section 7.2.2).
  @Sendable static func receipt(_ call: RestCall) async throws -> Response {
    let id = try call.path("id")
    let receipt = try await call.backends.transfer.unary(
      Transfer.getReceipt, .with { $0.deliveryID = id }, call.onward())
    var response = Response(
      status: .ok, headers: [.contentType: "application/jose+json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: receipt.flattenedJSON)))
    let name = fileName(receipt.receipt?.userTicket.nonEmpty ?? id)
    response.headers[.contentDisposition] = "attachment; filename=\"fileferry-receipt-\(name).json\""
    return response
  }

  /// The list of files that a long receipt has in parts, as one text: JSON Lines, each part's bytes as the receipt binds them.
  @Sendable static func receiptFiles(_ call: RestCall) async throws -> Response {
    let id = try call.path("id")
    let (channel, options) = (call.backends.transfer, call.onward())
    @Sendable func part(_ number: Int32) async throws -> String {
      try await channel.unary(
        Transfer.getReceiptPart,
        .with {
          $0.deliveryID = id
          $0.part = number
        }, options
      ).text
    }
    let receipt = try await channel.unary(Transfer.getReceipt, .with { $0.deliveryID = id }, options)
    guard let parts = receipt.receipt?.parts.count, parts > 0 else {
      throw RestCall.bad("The receipt of this delivery lists its files itself.", next: "Take them from the receipt.")
    }
    let first = try await part(0)
    let name = fileName(receipt.receipt?.userTicket.nonEmpty ?? id)
    return Response(
      status: .ok,
      headers: [
        .contentType: "application/jsonl", .cacheControl: "no-store",
        .contentDisposition: "attachment; filename=\"fileferry-receipt-\(name).files.jsonl\"",
      ],
      body: ResponseBody { writer in
        try await writer.write(ByteBuffer(string: first))
        for number in 1..<max(1, Int32(parts)) { try await writer.write(ByteBuffer(string: try await part(number))) }
        try await writer.finish(nil)
      })
  }

  /// Only what is harmless in a header and in a file system.
  static func fileName(_ text: String) -> String {
    String(
      decoding: text.utf8.filter { byte in
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
          UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
          true
        default: false
        }
      }, as: UTF8.self)
  }

  @Sendable static func receiptKey(_ call: RestCall) async throws -> Response {
    let key = try await call.backends.transfer.unary(Transfer.getReceiptKey, GetReceiptKeyRequest(), call.anonymous())
    return Response(
      status: .ok, headers: [.contentType: "application/jwk+json", .cacheControl: "no-store"],
      body: ResponseBody(byteBuffer: ByteBuffer(string: key.jwkJSON)))
  }

  /// Server-sent events, until the delivery has ended. The delivery is asked for first, so that one that is missing or
  /// not the caller's is an HTTP error and not a stream that breaks.
  static func events(_ call: RestCall, _ streams: EventStreams) async throws -> Response {
    let id = try call.path("id")
    let resume = try EventStreams.lastEventID(call)
    let delivery = try await call.backends.transfer.unary(
      Transfer.getDelivery, .with { $0.id = id }, call.onward(Patience.part))
    // All has been told: 204 makes a browser stop reconnecting (WHATWG HTML, 9.2.3).
    if let resume, delivery.status.isOver, resume >= delivery.sequence { return RestCall.empty }
    let backends = call.backends
    let options = call.streaming()
    // Whoever may see a delivery sees the same of it.
    let source = EventSource("delivery \(id)") { (after, place) async throws(RPCError) in
      try await backends.transferEvents(place).serverStreaming(
        Transfer.watchDelivery,
        .with {
          $0.id = id
          $0.afterSequence = after
        }, options)
    } event: { (event: DeliveryEvent) in
      let frame = EventFrame(id: event.sequence, event: event.kind.eventName, data: event.jsonString())
      return SharedEvent(sequence: event.sequence, frame: frame.bytes, isPassing: event.kind == .progress)
    }
    return try streams.response(call, source, after: resume ?? 0)
  }
}

extension DeliveryStatus {
  var isOver: Bool { [.succeeded, .failed, .cancelled].contains(self) }
}

extension DeliveryEventKind {
  /// The event's name: "state", "progress", "retry", "note", "ended".
  var eventName: String {
    let name = Self.descriptor.name(of: rawValue) ?? ""
    let prefix = "DELIVERY_EVENT_KIND_"
    return name.hasPrefix(prefix) && self != .unspecified ? name.dropFirst(prefix.count).lowercased() : "note"
  }
}
