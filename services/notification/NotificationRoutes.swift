// Which function of the desk answers which method, and for whom. Who may call a method at all, the access matrix says.
import FerryAPI
import RPC
import ServiceKit

enum NotificationRoutes {
  static func router(_ desk: NotificationDesk) -> Router {
    var router = Router()
    router.handle(Notifications.notify) { (request, _) async throws(RPCError) in
      try await desk.notify(request)
    }
    router.handle(Notifications.listNotifications) { (request, context) async throws(RPCError) in
      try await desk.list(request, for: NotificationReader(try context.caller))
    }
    router.handle(Notifications.markRead) { (request, context) async throws(RPCError) in
      try await desk.markRead(request, for: NotificationReader(try context.caller))
    }
    router.handle(Notifications.watchNotifications) { (request, context, responses) async throws(RPCError) in
      let reader = NotificationReader(try context.caller)
      try await desk.watch(request, for: reader) { (notification) async throws(RPCError) in
        try await responses.send(notification)
      }
    }
    router.handle(Notifications.listChannels) { (_, _) async throws(RPCError) in
      desk.listChannels()
    }
    return router
  }
}
