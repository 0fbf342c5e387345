// The gRPC side: the Gateway service itself, and every other service's methods passed through as they come.
import FerryAPI
import RPC
import ServiceKit

struct GatewayService: Sendable {
  let backends: Backends

  func router() -> RPC.Router {
    var router = RPC.Router()
    let overview = Overview(backends: backends)
    router.handle(Gateway.getJourney) { (request: GetJourneyRequest, context: CallContext) async throws(RPCError) in
      try await overview.journey(request.deliveryID, .onward(from: context))
    }
    router.handle(Gateway.getDashboard) { (_: GetDashboardRequest, context: CallContext) async throws(RPCError) in
      try await overview.dashboard(.onward(from: context))
    }
    router.handle(Gateway.getSystemStatus) { (_: GetSystemStatusRequest, _: CallContext) async throws(RPCError) in
      await overview.systemStatus()
    }
    for backend in backends.all { router.forward(service: backend.service, to: backend.channel) }
    return router
  }
}
