// Compression by message: client_compressed_unary, client_compressed_streaming, server_compressed_unary,
// server_compressed_streaming.
import InteropMessages
import ProtoWire
import RPC

enum Compression {
  private static var compressed: CallOptions {
    var options = ordinaryOptions
    options.compression = .gzip
    return options
  }

  /// A request that lies about its compression shows first that the server looks.
  static func clientUnary(_ channel: ClientChannel) async throws {
    try await expectFailure(.invalidArgument, of: "A plain request that claims to be compressed") {
      let request = largeRequest { $0.expectCompressed = truth(true) }
      _ = try await channel.unary(TestService.unaryCall, request, ordinaryOptions)
    }
    for isCompressed in [true, false] {
      let response = try await channel.unary(
        TestService.unaryCall, largeRequest { $0.expectCompressed = truth(isCompressed) },
        isCompressed ? compressed : ordinaryOptions)
      try expectZeros(response.payload, Sizes.largeResponse, "The response")
    }
  }

  static func clientStreaming(_ channel: ClientChannel) async throws {
    try await expectFailure(.invalidArgument, of: "A plain request that claims to be compressed") {
      _ = try await channel.clientStreaming(TestService.streamingInputCall, ordinaryOptions) {
        requests throws(RPCError) in
        try await requests.send(request(27_182, isCompressed: true))
      }
    }
    let response = try await channel.clientStreaming(TestService.streamingInputCall, compressed) {
      requests throws(RPCError) in
      try await requests.send(request(27_182, isCompressed: true), compress: true)
      try await requests.send(request(45_904, isCompressed: false), compress: false)
    }
    let total = response.aggregatedPayloadSize
    try expect(total == 73_086, "The server counted \(total) bytes where 73086 were sent.")
  }

  private static func request(_ size: Int, isCompressed: Bool) -> StreamingInputCallRequest {
    .with {
      $0.expectCompressed = truth(isCompressed)
      $0.payload = zeros(size)
    }
  }

  static func serverUnary(_ channel: ClientChannel) async throws {
    for isCompressed in [true, false] {
      let request = largeRequest { $0.responseCompressed = truth(isCompressed) }
      let response = try await channel.unaryResponse(TestService.unaryCall, request, ordinaryOptions)
      try expect(response.isCompressed == isCompressed, flagFailure("The response", isCompressed))
      try expectZeros(response.message.payload, Sizes.largeResponse, "The response")
    }
  }

  static func serverStreaming(_ channel: ClientChannel) async throws {
    let wanted: [(size: Int32, isCompressed: Bool)] = [(31_415, true), (92_653, false)]
    let request = StreamingOutputCallRequest.with {
      $0.responseParameters = wanted.map { one in
        .with {
          $0.size = one.size
          $0.compressed = truth(one.isCompressed)
        }
      }
    }
    let responses = try await channel.serverStreaming(TestService.streamingOutputCall, request, ordinaryOptions)
    let answers = responses.makeAsyncIterator()
    for (number, one) in wanted.enumerated() {
      guard let answer = try await answers.next() else {
        throw CaseFailure(description: "The stream ended before \(responseNumber(number)).")
      }
      try expect(
        answers.lastMessageWasCompressed == one.isCompressed, flagFailure(responseNumber(number), one.isCompressed))
      try expectZeros(answer.payload, one.size, responseNumber(number))
    }
    try expect(try await answers.next() == nil, "A response came that was not asked for.")
  }

  private static func flagFailure(_ what: String, _ wanted: Bool) -> String {
    "\(what) \(wanted ? "is not compressed though it was asked to be" : "is compressed though it was asked not to be")."
  }
}
