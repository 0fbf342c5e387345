// Calls that the client ends: cancel_after_begin, cancel_after_first_response, timeout_on_sleeping_server.
import InteropMessages
import ProtoWire
import RPC

enum Endings {
  /// The call is cancelled after its metadata has gone and before any request.
  static func cancelAfterBegin(_ channel: ClientChannel) async throws {
    let (begun, tellBegun) = AsyncStream<Void>.makeStream()
    let call = Task {
      try await channel.clientStreaming(TestService.streamingInputCall, ordinaryOptions) { _ throws(RPCError) in
        tellBegun.finish()
        // Until the task is cancelled: a call that is not would run into its deadline.
        do { try await Task.sleep(for: .seconds(60)) } catch {
          throw RPCError(.cancelled, "the call was cancelled")
        }
      }
    }
    for await _ in begun {}
    call.cancel()
    try await expectFailure(.cancelled, of: "The cancelled call") { _ = try await call.value }
  }

  static func cancelAfterFirstResponse(_ channel: ClientChannel) async throws {
    let (requests, responses) = try await channel.bidirectional(TestService.fullDuplexCall, ordinaryOptions)
    try await requests.send(outputRequest(Sizes.responses[0], body: Sizes.requests[0]))
    let answers = responses.makeAsyncIterator()
    let answer = try await answers.next()
    try expectZeros(answer?.payload, Sizes.responses[0], responseNumber(0))
    responses.cancel()
    try await expectFailure(.cancelled, of: "The cancelled call") { _ = try await answers.next() }
  }

  static func timeoutOnSleepingServer(_ channel: ClientChannel) async throws {
    // Connected before: the millisecond is for the call alone.
    _ = try await channel.unary(TestService.emptyCall, Empty(), ordinaryOptions)
    try await expectFailure(.deadlineExceeded, of: "A call of one millisecond") {
      let (requests, responses) = try await channel.bidirectional(
        TestService.fullDuplexCall, .timeout(.milliseconds(1)))
      try await requests.send(.with { $0.payload = zeros(27_182) })
      // Neither side ends the stream, so the deadline has to.
      for try await _ in responses {}
    }
  }
}
