// What several services know together: a delivery's journey, the first page, and which services answer. The services
// are asked side by side with the caller's token; a part that fails is named in `missing`, with the reason, and the
// rest stands.
import FerryAPI
import RPC

struct Overview: Sendable {
  static let version = "1.0.0"
  static let recentDeliveries: Int32 = 10
  static let runningDeliveries: Int32 = 20
  static let journeyNotifications: Int32 = 20

  let backends: Backends

  /// One delivery with its tickets, notifications and receipt.
  /// - Throws: What the transfer service says if the delivery itself cannot be had.
  func journey(_ id: String, _ caller: CallOptions) async throws(RPCError) -> Journey {
    let options = caller.within(Patience.part)
    let delivery = try await backends.transfer.unary(Transfer.getDelivery, .with { $0.id = id }, options)
    async let tickets = tickets(of: delivery, options)
    async let notifications = part("notifications") { () async throws(RPCError) in
      try await backends.notification.unary(
        Notifications.listNotifications,
        .with {
          $0.deliveryID = id
          $0.pageSize = Self.journeyNotifications
        }, options)
    }
    async let receipt = receipt(of: delivery, options)

    var journey = Journey()
    journey.delivery = delivery
    journey.tickets = await tickets?.take(&journey.missing)
    journey.notifications = await notifications.take(&journey.missing)?.notifications ?? []
    journey.receipt = await receipt?.take(&journey.missing)
    return journey
  }

  private func tickets(of delivery: Delivery, _ options: CallOptions) async -> Part<TicketPair>? {
    guard !delivery.ticketPairID.isEmpty else { return nil }
    return await part("tickets") { () async throws(RPCError) in
      try await backends.ticketing.unary(
        Ticketing.getTicketPair, .with { $0.pairID = delivery.ticketPairID }, options)
    }
  }

  private func receipt(of delivery: Delivery, _ options: CallOptions) async -> Part<SignedReceipt>? {
    guard delivery.hasReceipt else { return nil }
    return await part("receipt") { () async throws(RPCError) in
      try await backends.transfer.unary(Transfer.getReceipt, .with { $0.deliveryID = delivery.id }, options)
    }
  }

  /// What the first page shows.
  /// - Throws: `unauthenticated` if any service says that the caller is nobody; nothing else.
  func dashboard(_ caller: CallOptions) async throws(RPCError) -> Dashboard {
    let options = caller.within(Patience.part)
    async let user = part("user") { () async throws(RPCError) in
      try await backends.auth.unary(Auth.whoAmI, WhoAmIRequest(), options)
    }
    async let running = deliveries("running", .running, Self.runningDeliveries, options)
    async let recent = deliveries("recent", .unspecified, Self.recentDeliveries, options)
    async let connections = part("connections") { () async throws(RPCError) in
      try await backends.storageBroker.unary(StorageBroker.listConnections, ListConnectionsRequest(), options)
    }
    async let destinations = part("destinations") { () async throws(RPCError) in
      try await backends.transfer.unary(Transfer.listDestinations, ListDestinationsRequest(), options)
    }
    async let notifications = part("notifications") { () async throws(RPCError) in
      try await backends.notification.unary(
        Notifications.listNotifications, .with { $0.unreadOnly = true }, options)
    }

    var dashboard = Dashboard()
    var refusal: RPCError?
    dashboard.user = await user.take(&dashboard.missing, &refusal)
    dashboard.running = await running.take(&dashboard.missing, &refusal)?.deliveries ?? []
    dashboard.recent = await recent.take(&dashboard.missing, &refusal)?.deliveries ?? []
    dashboard.connections = await connections.take(&dashboard.missing, &refusal)?.connections ?? []
    dashboard.destinations = await destinations.take(&dashboard.missing, &refusal)?.destinations ?? []
    dashboard.unreadNotifications = await notifications.take(&dashboard.missing, &refusal)?.unread ?? 0
    if let refusal { throw refusal }
    return dashboard
  }

  private func deliveries(
    _ name: String, _ status: DeliveryStatus, _ count: Int32, _ options: CallOptions
  ) async -> Part<ListDeliveriesResponse> {
    await part(name) { () async throws(RPCError) in
      try await backends.transfer.unary(
        Transfer.listDeliveries,
        .with {
          $0.status = status
          $0.pageSize = count
        }, options)
    }
  }

  /// Asks each service's health check; the gateway itself answers by answering.
  func systemStatus() async -> SystemStatus {
    var services = await withTaskGroup(of: (Int, ServiceStatus).self) { group in
      for (index, backend) in backends.all.enumerated() {
        group.addTask { (index, await health(backend.name, backend.channel)) }
      }
      var found: [(Int, ServiceStatus)] = []
      for await one in group { found.append(one) }
      return found.sorted { $0.0 < $1.0 }.map(\.1)
    }
    services.insert(.with { status in (status.service, status.serving) = ("gateway", true) }, at: 0)
    return .with {
      $0.services = services
      $0.version = Self.version
    }
  }

  private func health(_ name: String, _ channel: ClientChannel) async -> ServiceStatus {
    var status = ServiceStatus()
    status.service = name
    do throws(RPCError) {
      let answer = try await channel.unary(Health.check, HealthCheckRequest(), .timeout(Patience.healthCheck))
      status.serving = answer.status == .serving
      if !status.serving { status.detail = "the service says that it is not serving now" }
    } catch {
      status.detail = error.message
    }
    return status
  }
}

/// One part of an answer: what a service said, under the part's name.
struct Part<Value: Sendable>: Sendable {
  let name: String
  let result: Result<Value, RPCError>

  /// The value; or nil, with the reason added to what is missing.
  func take(_ missing: inout [MissingPart]) -> Value? {
    switch result {
    case .success(let value): return value
    case .failure(let error):
      missing.append(
        .with {
          $0.part = name
          $0.reason = error.problem?.message ?? error.message
        })
      return nil
    }
  }
}

extension Part {
  /// The same, and notes a refusal because the caller is nobody.
  func take(_ missing: inout [MissingPart], _ refusal: inout RPCError?) -> Value? {
    if case .failure(let error) = result, error.code == .unauthenticated { refusal = error }
    return take(&missing)
  }
}

func part<Value: Sendable>(
  _ name: String, _ ask: () async throws(RPCError) -> Value
) async -> Part<Value> {
  do throws(RPCError) { return Part(name: name, result: .success(try await ask())) } catch {
    return Part(name: name, result: .failure(error))
  }
}

extension CallOptions {
  /// The same options, with a deadline that is no later than `limit` from now.
  func within(_ limit: Duration) -> CallOptions {
    var options = self
    let latest = Deadline.after(limit)
    options.deadline = options.deadline.map { min($0, latest) } ?? latest
    return options
  }
}
