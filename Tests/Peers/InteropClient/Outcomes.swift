// What goes beside the messages: custom_metadata, status_code_and_message, special_status_message,
// unimplemented_method, unimplemented_service.
import InteropMessages
import ProtoWire
import RPC

enum Outcomes {
  private static let initialKey = "x-grpc-test-echo-initial"
  private static let initialValue = "test_initial_metadata_value"
  private static let trailingKey = "x-grpc-test-echo-trailing-bin"
  private static let trailingValue: [UInt8] = [0xAB, 0xAB, 0xAB]

  static func customMetadata(_ channel: ClientChannel) async throws {
    var options = ordinaryOptions
    options.metadata.add(initialKey, initialValue)
    options.metadata.add(trailingKey, bytes: trailingValue)

    let response = try await channel.unaryResponse(TestService.unaryCall, largeRequest(), options)
    try expectZeros(response.message.payload, Sizes.largeResponse, "The response")
    try expectEcho("UnaryCall", response.initialMetadata, response.trailingMetadata)

    let (requests, responses) = try await channel.bidirectional(TestService.fullDuplexCall, options)
    try await requests.send(outputRequest(Sizes.largeResponse, body: Sizes.largeRequest))
    requests.finish()
    let initial = try await responses.initialMetadata()
    var count = 0
    for try await one in responses {
      try expectZeros(one.payload, Sizes.largeResponse, responseNumber(count))
      count += 1
    }
    try expect(count == 1, "FullDuplexCall gave \(count) responses where 1 is due.")
    try expectEcho("FullDuplexCall", initial, responses.trailingMetadata)
  }

  private static func expectEcho(_ call: String, _ initial: Metadata, _ trailing: Metadata) throws(CaseFailure) {
    try expect(
      initial.all(initialKey) == [initialValue],
      "\(call) gave \(initial.all(initialKey)) under \(initialKey) in its initial metadata.")
    let got = trailing.bytes(trailingKey)
    try expect(
      got == trailingValue, "\(call) gave \(got.map { "\($0)" } ?? "nothing") under \(trailingKey) in its trailers.")
  }

  static func statusCodeAndMessage(_ channel: ClientChannel) async throws {
    let status = EchoStatus.with {
      $0.code = 2
      $0.message = "test status message"
    }
    try await expectEcho(of: status, fromUnaryCallOn: channel)
    let error = try await expectFailure(.unknown, of: "FullDuplexCall") {
      let (requests, responses) = try await channel.bidirectional(TestService.fullDuplexCall, ordinaryOptions)
      try await requests.send(.with { $0.responseStatus = status })
      requests.finish()
      for try await _ in responses {}
    }
    try expect(error.message == status.message, "FullDuplexCall gave the message \(error.message.debugDescription).")
  }

  static func specialStatusMessage(_ channel: ClientChannel) async throws {
    let status = EchoStatus.with {
      $0.code = 2
      $0.message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    }
    try await expectEcho(of: status, fromUnaryCallOn: channel)
  }

  private static func expectEcho(of status: EchoStatus, fromUnaryCallOn channel: ClientChannel) async throws {
    let error = try await expectFailure(.unknown, of: "UnaryCall") {
      _ = try await channel.unary(TestService.unaryCall, .with { $0.responseStatus = status }, ordinaryOptions)
    }
    // Strings compare by canonical equivalence; the message has to come back byte for byte.
    try expect(
      Array(error.message.utf8) == Array(status.message.utf8),
      "UnaryCall gave the message \(error.message.debugDescription).")
  }

  static func unimplementedMethod(_ channel: ClientChannel) async throws {
    try await expectFailure(.unimplemented, of: "A call of a method that the server lacks") {
      _ = try await channel.unary(TestService.unimplementedCall, Empty(), ordinaryOptions)
    }
  }

  static func unimplementedService(_ channel: ClientChannel) async throws {
    let method = UnaryMethod<Empty, Empty>("grpc.testing.UnimplementedService", "UnimplementedCall")
    try await expectFailure(.unimplemented, of: "A call of a service that the server lacks") {
      _ = try await channel.unary(method, Empty(), ordinaryOptions)
    }
  }
}
