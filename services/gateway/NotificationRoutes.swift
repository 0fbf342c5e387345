// The caller's notifications: list, mark as read, follow, and the channels that carry them.
import FerryAPI
import Hummingbird
import RPC

enum NotificationRoutes {
  static func routes(_ streams: EventStreams) -> [Route] {
    [
      .get(
        "notifications", "listNotifications", "Lists the caller's notifications, the newest first.",
        [
          RouteParameter(name: "unreadOnly", summary: "Only those that were not read.", kind: .flag),
          RouteParameter(name: "deliveryId", summary: "Only those of a delivery."),
        ] + RouteParameter.page, returns: .message(ListNotificationsResponse.self), list),
      .post(
        "notifications/read", "markNotificationsRead", "Marks notifications as read.", takes: MarkReadRequest.self,
        returns: .nothing, markRead),
      .get(
        "notifications/events", "watchNotifications", "Follows the caller's notifications.", [.lastEventID],
        returns: .events
      ) { try await events($0, streams) },
      .get(
        "notifications/channels", "listChannels", "Lists the ways that notifications go.",
        returns: .message(ListChannelsResponse.self), channels),
    ]
  }

  @Sendable static func list(_ call: RestCall) async throws -> Response {
    var request = ListNotificationsRequest()
    request.unreadOnly = try call.flag("unreadOnly")
    request.deliveryID = call.query("deliveryId")
    request.pageSize = try call.pageSize()
    request.pageToken = call.query("pageToken")
    return call.json(
      try await call.backends.notification.unary(Notifications.listNotifications, request, call.onward()))
  }

  @Sendable static func markRead(_ call: RestCall) async throws -> Response {
    let request: MarkReadRequest = try await call.body()
    _ = try await call.backends.notification.unary(Notifications.markRead, request, call.onward())
    return RestCall.empty
  }

  @Sendable static func channels(_ call: RestCall) async throws -> Response {
    call.json(
      try await call.backends.notification.unary(Notifications.listChannels, ListChannelsRequest(), call.onward()))
  }

  /// Server-sent events, one a notification. A short list is asked for first, so that a refusal is an HTTP error.
  static func events(_ call: RestCall, _ streams: EventStreams) async throws -> Response {
    let resume = try EventStreams.lastEventID(call) ?? 0
    _ = try await call.backends.notification.unary(
      Notifications.listNotifications, .with { $0.pageSize = 1 }, call.onward(Patience.part))
    let backends = call.backends
    let options = call.streaming()
    // A token is one person's: the windows of a browser have it in common.
    let source = EventSource("notifications \(call.credential.token ?? "")") { (after, place) async throws(RPCError) in
      try await backends.notificationEvents(place).serverStreaming(
        Notifications.watchNotifications, .with { $0.afterSequence = after }, options)
    } event: { (notification: FerryAPI.Notification) in
      let frame = EventFrame(id: notification.sequence, event: "notification", data: notification.jsonString())
      return SharedEvent(sequence: notification.sequence, frame: frame.bytes)
    }
    return try streams.response(call, source, after: resume)
  }
}
