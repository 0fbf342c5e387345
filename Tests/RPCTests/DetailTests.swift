// Statuses on the wire: typed details of an error, long messages, and what other servers send.
import HTTP2
import InteropMessages
import NIOCore
import RPC
import Testing

@Suite("Details of errors", .timeLimit(.minutes(2)))
struct DetailTests {
  private static let fail = UnaryMethod<Empty, Empty>("test.Details", "Fail")

  private func failing(with error: RPCError) async throws -> RPCError? {
    try await Pair.with { router in
      router.handle(Self.fail) { (_: Empty, _: CallContext) async throws(RPCError) -> Empty in throw error }
    } _: { pair in
      await failure { () async throws(RPCError) in try await pair.channel.unary(Self.fail, Empty()) }
    }
  }

  @Test("all kinds of details come back as they were sent, in their order")
  func roundTrip() async throws {
    let info = ErrorInfo.with {
      $0.reason = "QUOTA_EXCEEDED"
      $0.domain = "transfer.fileferry"
      $0.metadata = ["service": "transfer", "größe": "1 GiB", "": ""]
    }
    let bad = BadRequest.with {
      $0.fieldViolations = ["files[0].key", "größe"].map { field in
        .with {
          $0.field = field
          $0.description = "is not \(field)"
        }
      }
    }
    let quota = QuotaFailure.with {
      $0.violations = [
        .with {
          $0.subject = "user:7f3a"
          $0.description = "5 at once"
        }
      ]
    }
    let retry = RetryInfo(after: .milliseconds(1234))
    let error = try await failing(
      with: RPCError(
        .resourceExhausted, "too much",
        details: [StatusDetail(info), StatusDetail(bad), StatusDetail(quota), StatusDetail(retry)]))
    #expect(error?.code == .resourceExhausted)
    #expect(error?.details.map(\.typeURL) == ["ErrorInfo", "BadRequest", "QuotaFailure", "RetryInfo"].map {
      "type.googleapis.com/google.rpc.\($0)"
    })
    #expect(error?.detail(ErrorInfo.self) == info)
    #expect(error?.detail(BadRequest.self) == bad)
    #expect(error?.detail(QuotaFailure.self) == quota)
    #expect(error?.detail(RetryInfo.self)?.retryDelay?.duration == .milliseconds(1234))
    #expect(error?.detail(EchoStatus.self) == nil)
  }

  @Test(
    "a status arrives with its code however long its message is, and whatever its characters",
    arguments: ["a", "%", "☺", "😈", "\n"])
  func longMessage(_ character: String) async throws {
    for count in [100, 1_000, 4_096, 100_000] {
      let text = String(repeating: character, count: count)
      let info = ErrorInfo.with { $0.reason = String(repeating: "R", count: 4_000) }
      let error = try await failing(with: RPCError(.failedPrecondition, text, details: [StatusDetail(info)]))
      #expect(error?.code == .failedPrecondition, "\(count) times \(character)")
      let arrived = error?.message ?? ""
      // Not the texts in the expectation: they would fill the log.
      let isWhole = !arrived.isEmpty && text.hasPrefix(arrived)
      #expect(isWhole, "cut, and not inside a character: \(arrived.count) of \(count) arrived")
    }
  }

  @Test("details that cannot be read leave code and message")
  func unreadable() async throws {
    for details in ["!!!", "AAAA", "CAUSBA"] {
      try await PlainServer.with { (_, _, stream, _) in
        var headers: HTTP2Headers = [":status": "200", "content-type": "application/grpc", "grpc-status": "5"]
        headers.add("grpc-message", "not%20here%")
        headers.add("grpc-status-details-bin", details)
        stream.respond(headers, endStream: true)
      } _: { _, channel in
        let error = await failure { () async throws(RPCError) in
          try await channel.unary(TestService.emptyCall, Empty())
        }
        #expect(error?.code == .notFound)
        #expect(error?.message == "not here%")
        #expect(error?.details.isEmpty == true)
      }
    }
  }

  @Test(
    "what is no gRPC answer becomes the status that gRPC has for it",
    arguments: [
      ("400", StatusCode.internal), ("401", .unauthenticated), ("403", .permissionDenied), ("404", .unimplemented),
      ("429", .unavailable), ("502", .unavailable), ("503", .unavailable), ("504", .unavailable), ("500", .unknown),
      ("200", .unknown),
    ])
  func httpStatus(_ status: String, _ code: StatusCode) async throws {
    try await PlainServer.with { (_, _, stream, _) in
      var headers = HTTP2Headers()
      headers.add(":status", status)
      headers.add("content-type", "text/html")
      stream.respond(headers)
      stream.write(ByteBuffer(string: "<h1>Sorry</h1>"))
      stream.finish()
    } _: { _, channel in
      let error = await failure { () async throws(RPCError) in
        try await channel.unary(TestService.emptyCall, Empty())
      }
      #expect(error?.code == code)
      #expect(error?.message.contains(status) == true)
    }
  }

  @Test(
    "a reset becomes the status that gRPC has for it",
    arguments: [
      (HTTP2ErrorCode.noError, StatusCode.internal), (.protocolError, .internal), (.cancel, .cancelled),
      (.enhanceYourCalm, .resourceExhausted), (.inadequateSecurity, .permissionDenied),
    ])
  func reset(_ reset: HTTP2ErrorCode, _ code: StatusCode) async throws {
    try await PlainServer.with { (_, _, stream, _) in stream.reset(reset) } _: { _, channel in
      let error = await failure { () async throws(RPCError) in
        try await channel.unary(TestService.emptyCall, Empty())
      }
      #expect(error?.code == code)
    }
  }

  @Test("an answer that breaks off, or has no or several messages, is an error and no answer")
  func brokenAnswers() async throws {
    let empty: [UInt8] = [0, 0, 0, 0, 0]
    let bodies: [([UInt8], HTTP2Headers?)] = [
      (empty, nil), ([], ["grpc-status": "0"]), (empty + empty, ["grpc-status": "0"]),
      ([0, 0, 0, 0, 9, 1], ["grpc-status": "0"]), ([0, 0, 0], ["grpc-status": "0"]),
      ([7, 0, 0, 0, 0], ["grpc-status": "0"]), ([0, 0, 0, 0, 2, 0xFF, 0xFF], ["grpc-status": "0"]),
      (empty, ["x-no-status": "1"]), (empty, ["grpc-status": "zero"]),
    ]
    for (body, trailers) in bodies {
      try await PlainServer.with { (_, _, stream, _) in
        stream.respond([":status": "200", "content-type": "application/grpc"])
        stream.write(ByteBuffer(bytes: body))
        stream.finish(trailers: trailers)
      } _: { _, channel in
        let error = await failure { () async throws(RPCError) in
          try await channel.unary(TestService.emptyCall, Empty(), .timeout(.seconds(30)))
        }
        #expect(error?.code == .internal || error?.code == .unknown, "\(body) \(String(describing: error))")
      }
    }
  }
}
