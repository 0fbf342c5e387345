// The four kinds of call: empty_unary, large_unary, client_streaming, server_streaming, ping_pong, empty_stream.
import InteropMessages
import ProtoWire
import RPC

enum Calls {
  static func emptyUnary(_ channel: ClientChannel) async throws {
    let response = try await channel.unary(TestService.emptyCall, Empty(), ordinaryOptions)
    try expect(response.unknownFields.isEmpty, "The response to an empty message is not empty.")
  }

  static func largeUnary(_ channel: ClientChannel) async throws {
    try await largeUnary(channel, ordinaryOptions)
  }

  static func largeUnary(_ channel: ClientChannel, _ options: CallOptions) async throws {
    let response = try await channel.unary(TestService.unaryCall, largeRequest(), options)
    try expectZeros(response.payload, Sizes.largeResponse, "The response")
  }

  static func clientStreaming(_ channel: ClientChannel) async throws {
    let response = try await channel.clientStreaming(TestService.streamingInputCall, ordinaryOptions) {
      requests throws(RPCError) in
      for size in Sizes.requests { try await requests.send(.with { $0.payload = zeros(size) }) }
    }
    let total = response.aggregatedPayloadSize
    try expect(total == 74_922, "The server counted \(total) bytes where 74922 were sent.")
  }

  static func serverStreaming(_ channel: ClientChannel) async throws {
    let request = StreamingOutputCallRequest.with {
      $0.responseParameters = Sizes.responses.map { size in .with { $0.size = size } }
    }
    let responses = try await channel.serverStreaming(TestService.streamingOutputCall, request, ordinaryOptions)
    var count = 0
    for try await one in responses {
      try expect(count < Sizes.responses.count, "There are more than \(Sizes.responses.count) responses.")
      try expectZeros(one.payload, Sizes.responses[count], responseNumber(count))
      count += 1
    }
    try expect(count == Sizes.responses.count, "There are \(count) responses where \(Sizes.responses.count) are due.")
  }

  static func pingPong(_ channel: ClientChannel) async throws {
    let (requests, responses) = try await channel.bidirectional(TestService.fullDuplexCall, ordinaryOptions)
    let answers = responses.makeAsyncIterator()
    for (number, size) in Sizes.responses.enumerated() {
      try await requests.send(outputRequest(size, body: Sizes.requests[number]))
      guard let answer = try await answers.next() else {
        throw CaseFailure(description: "The stream ended before \(responseNumber(number)).")
      }
      try expectZeros(answer.payload, size, responseNumber(number))
    }
    requests.finish()
    try expect(try await answers.next() == nil, "A response came that was not asked for.")
  }

  static func emptyStream(_ channel: ClientChannel) async throws {
    let (requests, responses) = try await channel.bidirectional(TestService.fullDuplexCall, ordinaryOptions)
    requests.finish()
    let answers = responses.makeAsyncIterator()
    try expect(try await answers.next() == nil, "A response came though there was no request.")
  }
}
