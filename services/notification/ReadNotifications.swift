// Reading: lists, newest first, marking as read, and the stream that goes on live. Everybody reads their own; who
// steers or audits may also list all that was told about one delivery.
import DocumentStore
import FerryAPI
import RPC
import ServiceKit

struct NotificationReader: Sendable, Equatable {
  let id: String
  let seesAllOfADelivery: Bool

  init(_ caller: Caller) {
    id = caller.id
    seesAllOfADelivery = caller.isService || caller.has(anyOf: .auditor, .operator, .admin)
  }
}

extension NotificationDesk {
  // MARK: List

  func list(
    _ request: ListNotificationsRequest, for reader: NotificationReader
  ) async throws(RPCError) -> ListNotificationsResponse {
    guard request.pageSize >= 0 else {
      throw .invalid(
        "The page size is negative.", next: "Ask for 1 to \(NotificationLimits.maximumPage).", subject: "page_size")
    }
    try NotifyRules.text("delivery_id", request.deliveryID, atMost: NotificationLimits.identifier)
    let most = min(request.pageSize, NotificationLimits.maximumPage)
    let size = Int(request.pageSize == 0 ? NotificationLimits.defaultPage : most)
    return try await Retry.onConflict("notification") { try await page(size, request, reader) }
  }

  private func page(
    _ size: Int, _ request: ListNotificationsRequest, _ reader: NotificationReader
  ) async throws(DocumentStoreError) -> ListNotificationsResponse {
    var response = ListNotificationsResponse()
    response.unread = try await documents.head(of: reader.id).head.unread
    var token = request.pageToken.isEmpty ? nil : PageToken(rawValue: request.pageToken)
    var scanned = 0
    repeat {
      let wanted = min(size - response.notifications.count, NotificationLimits.scanned - scanned)
      let found: [FerryAPI.Notification]
      if request.deliveryID.isEmpty {
        (found, token) = try await documents.notifications(of: reader.id, limit: wanted, after: token)
      } else {
        (found, token) = try await about(request.deliveryID, reader, limit: wanted, after: token)
      }
      response.notifications += found.filter { !request.unreadOnly || !$0.read }
      scanned += wanted
    } while token != nil && response.notifications.count < size && scanned < NotificationLimits.scanned
    response.nextPageToken = token?.rawValue ?? ""
    return response
  }

  private func about(
    _ delivery: String, _ reader: NotificationReader, limit: Int, after token: PageToken?
  ) async throws(DocumentStoreError) -> ([FerryAPI.Notification], PageToken?) {
    let (entries, next) = try await documents.index(ofDelivery: delivery, limit: limit, after: token)
    var found: [FerryAPI.Notification] = []
    for entry in entries where reader.seesAllOfADelivery || entry.recipient == reader.id {
      if let stored = try await documents.notification(of: entry.recipient, id: entry.id) {
        found.append(stored.notification)
      }
    }
    return (found, next)
  }

  // MARK: Mark as read

  /// All of them or, if one is not the reader's own, none.
  func markRead(_ request: MarkReadRequest, for reader: NotificationReader) async throws(RPCError) -> MarkReadResponse {
    guard request.ids.count <= NotificationLimits.markedAtOnce else {
      throw .invalid(
        "There are \(request.ids.count) ids; \(NotificationLimits.markedAtOnce) are allowed at once.",
        next: "Send several calls.", subject: "ids")
    }
    let ids = request.ids.reduce(into: [String]()) { if !$0.contains($1) { $0.append($1) } }
    for id in ids where try await own(id, reader) == nil {
      throw .notFound(
        "You have no notification \(String(id.prefix(64)).debugDescription).", next: "Load the list again.",
        subject: "ids")
    }
    for start in stride(from: 0, to: ids.count, by: NotificationLimits.markedInBatch) {
      let part = ids[start..<min(start + NotificationLimits.markedInBatch, ids.count)]
      try await Retry.onConflict("notification") {
        var stored: [NotificationDocuments.Stored] = []
        for id in part {
          if let one = try await documents.notification(of: reader.id, id: id) { stored.append(one) }
        }
        try await documents.markRead(stored, of: reader.id)
      }
    }
    return MarkReadResponse()
  }

  private func own(_ id: String, _ reader: NotificationReader) async throws(RPCError) -> NotificationDocuments.Stored? {
    guard !id.isEmpty, id.utf8.count <= NotificationLimits.identifier, !id.utf8.contains(0) else { return nil }
    return try await Retry.onConflict("notification") { try await documents.notification(of: reader.id, id: id) }
  }

  // MARK: Watch

  /// The reader's own, from `afterSequence` on, then live, until the call is cancelled or the service stops. `send`
  /// waits while the caller reads slowly; what comes meanwhile waits in the store.
  func watch(
    _ request: WatchNotificationsRequest, for reader: NotificationReader,
    send: @escaping @Sendable (FerryAPI.Notification) async throws(RPCError) -> Void
  ) async throws(RPCError) {
    guard request.afterSequence >= 0 else {
      throw .invalid("The sequence to go on from is negative.", next: "Send 0 or more.", subject: "after_sequence")
    }
    // Before the first read: what is stored after that read rings.
    let bell = try hub.watch(reader.id)
    defer { hub.leave(reader.id, bell) }
    var sequence = request.afterSequence
    while !Task.isCancelled && !hub.isClosed {
      let last = sequence
      sequence = try await briefly { () async throws(RPCError) in try await tell(reader, after: last, send) }
      await bell.wait()
    }
  }

  /// Sends what is stored now, and says up to where that was.
  private func tell(
    _ reader: NotificationReader, after sequence: Int64,
    _ send: @Sendable (FerryAPI.Notification) async throws(RPCError) -> Void
  ) async throws(RPCError) -> Int64 {
    var sequence = sequence
    let last = try await Retry.onConflict("notification") { try await documents.head(of: reader.id).head.lastSequence }
    while sequence < last && !Task.isCancelled {
      let wanted = sequence + 1
      let stored = try await Retry.onConflict("notification") {
        try await documents.notification(of: reader.id, sequence: wanted)
      }
      if let stored { try await send(stored.notification) }
      sequence = wanted
    }
    return sequence
  }
}
