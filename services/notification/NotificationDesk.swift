// The notification service's state, and Notify: a notification is stored once for its recipient and key, and stands in
// the outbox of each channel before it is stored, so that none is forgotten whenever the process dies.
import DocumentStore
import FerryAPI
import RPC
import ServiceKit

struct NotificationDesk: Sendable {
  let documents: NotificationDocuments
  let channels: [Outlet]
  let hub: NotificationHub
  /// Rung when something was put into a channel's outbox.
  let bells: [String: Doorbell]
  let now: @Sendable () -> UnixMilliseconds

  init(
    _ store: any DocumentStore, channels: [Outlet], hub: NotificationHub = NotificationHub(),
    now: @escaping @Sendable () -> UnixMilliseconds = SystemTime.now
  ) {
    documents = NotificationDocuments(store: store)
    self.channels = channels
    self.hub = hub
    bells = Dictionary(uniqueKeysWithValues: channels.map { ($0.name, Doorbell()) })
    self.now = now
  }

  private var messengers: [any Messenger] { channels.compactMap(\.messenger) }

  func outbox(of channel: String) -> Outbox { Outbox(store: documents.store, channel: channel) }

  func notify(_ request: NotifyRequest) async throws(RPCError) -> NotifyResponse {
    try NotifyRules.check(request)
    let recipient = request.recipient?.id ?? ""
    if let known = try await known(recipient, request.key) { return known }

    let time = now()
    let draft = draft(request, at: time)
    let queued = draft.channels.filter { $0.status == .queued }.map(\.channel)
    let stored: FerryAPI.Notification = try await Retry.onConflict("notification") {
      try await documents.addToIndex(draft)
      for channel in queued { try await outbox(of: channel).add(draft, at: time) }
      do throws(DocumentStoreError) { return try await documents.insert(draft) } catch {
        guard case .conflict = error.kind, let known = try await known(recipient, request.key)?.notification else {
          throw error
        }
        // Somebody stored the same key at the same moment: theirs counts.
        for channel in queued { try await outbox(of: channel).remove(draft, addedAt: time) }
        try await documents.removeFromIndex(draft)
        return known
      }
    }
    if stored.id == draft.id {
      hub.ring(recipient)
      for channel in queued { bells[channel]?.ring() }
    }
    return NotifyResponse.with { $0.notification = stored }
  }

  private func known(_ recipient: String, _ key: String) async throws(RPCError) -> NotifyResponse? {
    let stored = try await Retry.onConflict("notification") { try await documents.notification(of: recipient, key: key) }
    return stored.map { stored in NotifyResponse.with { $0.notification = stored.notification } }
  }

  private func draft(_ request: NotifyRequest, at milliseconds: UnixMilliseconds) -> FerryAPI.Notification {
    let time = Timestamp(milliseconds: milliseconds)
    var notification = FerryAPI.Notification.with {
      $0.id = RandomID.make(prefix: "ntf_")
      $0.key = request.key
      $0.recipient = request.recipient
      $0.severity = request.severity == .unspecified ? .info : request.severity
      $0.title = request.title
      $0.body = request.body
      $0.facts = request.facts
      $0.deliveryID = request.deliveryID
      $0.time = time
    }
    let inApp = ChannelDelivery.with {
      $0.channel = Outlets.inApp
      $0.status = .sent
      $0.attempts = 1
      $0.time = time
    }
    let outside = messengers.map { messenger in
      let obstacle = messenger.obstacle(to: notification)
      return ChannelDelivery.with {
        $0.channel = messenger.name
        $0.status = obstacle == nil ? .queued : .failed
        $0.problem = obstacle
        $0.time = time
      }
    }
    notification.channels = [inApp] + outside
    return notification
  }

  func listChannels() -> ListChannelsResponse {
    ListChannelsResponse.with { response in
      let inApp = FerryAPI.NotificationChannel.with {
        $0.name = Outlets.inApp
        $0.configured = true
        $0.detail = "Shown in FileFerry itself."
      }
      response.channels = [inApp] + channels.map { channel in
        FerryAPI.NotificationChannel.with {
          $0.name = channel.name
          $0.configured = channel.messenger != nil
          $0.detail = channel.messenger?.detail ?? channel.setup
        }
      }
    }
  }
}

enum NotifyRules {
  static func check(_ request: NotifyRequest) throws(RPCError) {
    typealias Limits = NotificationLimits
    try text("key", request.key, atMost: Limits.key, required: true)
    try text("recipient.id", request.recipient?.id ?? "", atMost: Limits.identifier, required: true)
    try text("recipient.name", request.recipient?.name ?? "", atMost: Limits.identifier)
    try text("recipient.email", request.recipient?.email ?? "", atMost: Limits.address)
    try text("title", request.title, atMost: Limits.title, required: true)
    try text("body", request.body, atMost: Limits.body)
    try text("delivery_id", request.deliveryID, atMost: Limits.identifier)
    guard request.facts.count <= Limits.facts else {
      throw .invalid(
        "There are \(request.facts.count) facts; \(Limits.facts) are allowed.", next: "Leave some out.",
        subject: "facts")
    }
    for fact in request.facts {
      try text("facts.name", fact.name, atMost: Limits.factName, required: true)
      try text("facts.value", fact.value, atMost: Limits.factValue)
    }
  }

  static func text(_ field: String, _ value: String, atMost limit: Int, required: Bool = false) throws(RPCError) {
    if required && value.isEmpty {
      throw .invalid("The field \(field) is empty.", next: "Fill it in.", subject: field)
    }
    if value.utf8.count > limit {
      throw .invalid(
        "The field \(field) has \(value.utf8.count) bytes; \(limit) are allowed.", next: "Shorten it.", subject: field)
    }
    if value.utf8.contains(0) {
      throw .invalid("The field \(field) holds a NUL character.", next: "Remove it.", subject: field)
    }
  }
}
