// Failures as REST tells them: statuses as google.rpc.Code gives them, and nothing of the service's own words lost.
import FerryAPI
import Foundation
import RPC
import ServiceKit
import Testing

@testable import GatewayService

@Suite struct ProblemDetailsTests {
  @Test(
    "each gRPC status becomes the HTTP status that google.rpc.Code names",
    arguments: [
      (StatusCode.ok, 200), (.cancelled, 499), (.unknown, 500), (.invalidArgument, 400), (.deadlineExceeded, 504),
      (.notFound, 404), (.alreadyExists, 409), (.permissionDenied, 403), (.resourceExhausted, 429),
      (.failedPrecondition, 400), (.aborted, 409), (.outOfRange, 400), (.unimplemented, 501), (.internal, 500),
      (.unavailable, 503), (.dataLoss, 500), (.unauthenticated, 401), (StatusCode(rawValue: 99), 500),
    ])
  func statuses(code: StatusCode, status: Int) {
    #expect(ProblemDetails.httpStatus(of: code) == status)
  }

  @Test("a service's Problem is told whole: code, sentence, next step, provider and its reference")
  func whole() throws {
    let problem = Problem.with {
      $0.code = "OBJECT_MISSING"
      $0.message = "The object a/b is not in the bucket."
      $0.nextStep = "Choose another file."
      $0.provider = "s3"
      $0.providerCode = "NoSuchKey"
      $0.requestID = "4442587FB7D0A2F9"
      $0.subject = "a/b"
    }
    let details = ProblemDetails(RPCError(.notFound, problem))
    let json = try #require(try JSONSerialization.jsonObject(with: Data(details.json.utf8)) as? [String: Any])
    #expect(json["type"] as? String == "urn:fileferry:problem:object-missing")
    #expect(json["status"] as? Int == 404)
    #expect(json["title"] as? String == "Not found")
    #expect(json["detail"] as? String == "The object a/b is not in the bucket.")
    #expect(json["code"] as? String == "OBJECT_MISSING")
    #expect(json["nextStep"] as? String == "Choose another file.")
    #expect(json["provider"] as? String == "s3")
    #expect(json["providerCode"] as? String == "NoSuchKey")
    #expect(json["requestId"] as? String == "4442587FB7D0A2F9")
    #expect(json["subject"] as? String == "a/b")
    #expect(json["retryable"] == nil)
  }

  @Test("an error without a Problem still has a code, a sentence and, where there is one, advice")
  func bare() {
    let details = ProblemDetails(RPCError(.unavailable, "127.0.0.1:7104 refuses the connection"))
    #expect(details.type == "about:blank")
    #expect(details.code == "UNAVAILABLE")
    #expect(details.detail == "127.0.0.1:7104 refuses the connection")
    #expect(details.nextStep != nil)
    #expect(details.retryable == true)
  }

  @Test(
    "Retry-After says when the same may work, rounded up, and is not there where it never will",
    arguments: [
      (RPCError.told(.resourceExhausted, "X", "Wait.", next: "Wait.", retryable: true, retryAfter: .milliseconds(7200)), "8"),
      (.told(.resourceExhausted, "X", "Wait.", next: "Wait.", retryable: true, retryAfter: .milliseconds(1)), "1"),
      (.told(.resourceExhausted, "X", "Wait.", next: "Wait.", retryable: true), "1"),
      (RPCError(.unavailable, "127.0.0.1:7104 refuses the connection"), "1"),
      (RPCError(.resourceExhausted, "Too large."), nil), (RPCError(.notFound, "Gone."), nil),
    ] as [(RPCError, String?)])
  func retryAfter(error: RPCError, seconds: String?) {
    let details = ProblemDetails(error)
    #expect(details.response().headers[.retryAfter] == seconds)
    #expect(!details.json.contains("retryAfter"))
  }

  @Test("a refusal for want of a token names the scheme, and the type is problem+json")
  func headers() {
    let response = ProblemDetails(RPCError(.unauthenticated, "who are you")).response()
    #expect(response.status.code == 401)
    #expect(response.headers[.contentType] == "application/problem+json")
    #expect(response.headers[.wwwAuthenticate] == "Bearer realm=\"fileferry\"")
    #expect(response.headers[.cacheControl] == "no-store")
  }
}
