// Many large_unary calls in a row: rpc_soak over one channel, channel_soak over a new one each. A call fails the soak
// if it fails or takes longer than a second, its channel's making and closing included; gRPC's own clients allow the same
// for the call alone.
import RPC

enum Soak {
  static let defaultIterations = 10
  private static let iterationLimit: Duration = .seconds(1)

  static func rpc(_ channel: ClientChannel, _ iterations: Int) async throws {
    try await run(iterations) { try await Calls.largeUnary(channel, $0) }
  }

  static func channel(_ peer: Peer) async throws {
    try await run(peer.iterations) { options in
      try await peer.withChannel { try await Calls.largeUnary($0, options) }
    }
  }

  private static func run(_ iterations: Int, _ call: (CallOptions) async throws -> Void) async throws {
    let clock = ContinuousClock()
    let began = clock.now
    var slowest = Duration.zero
    for number in 1...iterations {
      let start = clock.now
      do {
        try await call(ordinaryOptions)
      } catch {
        throw CaseFailure(description: "Call \(number) of \(iterations) failed: \(error)")
      }
      let took = start.duration(to: clock.now)
      slowest = max(slowest, took)
      try expect(took <= iterationLimit, "Call \(number) of \(iterations) took \(took), more than \(iterationLimit).")
    }
    let took = began.duration(to: clock.now)
    try expect(took <= iterationLimit * iterations, "\(iterations) calls took \(took).")
    tellOnStandardError("\(iterations) calls in \(took), the slowest in \(slowest).")
  }
}
