// What comes in over REST: decoded strictly, bounded, and refused with a sentence that helps.
import FerryAPI
import HTTPTypes
import Hummingbird
import Testing

@testable import GatewayService

@Suite struct RestCallTests {
  private func call(
    _ target: String = "/api/v1/x", _ method: HTTPRequest.Method = .get, headers: HTTPFields = [:], body: String = "",
    parameters: [(key: Substring, value: Substring)] = []
  ) throws -> RestCall {
    let head = HTTPRequest(
      method: method, scheme: "http", authority: "ferry.example", path: target, headerFields: headers)
    return try RestCall(
      Request(head: head, body: RequestBody(buffer: ByteBuffer(string: body))),
      parameters: Parameters(parameters), backends: FakeServices.nowhere)
  }

  @Test(
    "percent-encoding is read strictly",
    arguments: [
      ("a%2Fb", "a/b"), ("%C3%A4", "ä"), ("a+b", "a+b"), ("", ""), ("100%25", "100%"),
    ])
  func decodes(text: String, value: String) {
    #expect(PercentCoding.decode(text.utf8) == value)
  }

  @Test("broken escapes and bytes that are not UTF-8 are refused", arguments: ["%", "%2", "%zz", "%C3", "%FF"])
  func broken(text: String) {
    #expect(PercentCoding.decode(text.utf8) == nil)
  }

  @Test("query values come decoded, a plus as a space")
  func query() throws {
    let call = try call("/api/v1/x?prefix=a%2Fb+c&delimiter=%2F&empty=&pageSize=5")
    #expect(call.query("prefix") == "a/b c")
    #expect(call.query("delimiter") == "/")
    #expect(call.query("empty") == "" && call.query("missing") == "")
    #expect(try call.pageSize() == 5)
  }

  @Test("a path value may hold an encoded slash and is never empty")
  func path() throws {
    let call = try call(parameters: [("bucket", "a%2Fb"), ("name", "%")])
    #expect(try call.path("bucket") == "a/b")
    #expect { _ = try call.path("name") } throws: { ($0 as? ProblemDetails)?.status == 400 }
    #expect { _ = try call.path("other") } throws: { ($0 as? ProblemDetails)?.status == 400 }
  }

  @Test(
    "page sizes outside of the bound are refused", arguments: ["-1", "1001", "many", "1.5", "99999999999999999999"])
  func pageSizes(text: String) throws {
    let call = try call("/api/v1/x?pageSize=\(text)")
    #expect { _ = try call.pageSize() } throws: { ($0 as? ProblemDetails)?.status == 400 }
  }

  @Test("an enumeration is given by its proto3 name; an unknown one is told the known ones")
  func choices() throws {
    #expect(try call("/x?status=DELIVERY_STATUS_FAILED").choice("status") as DeliveryStatus == .failed)
    #expect(try call("/x").choice("status") as DeliveryStatus == .unspecified)
    #expect { _ = try self.call("/x?status=BAD").choice("status") as DeliveryStatus } throws: {
      ($0 as? ProblemDetails)?.nextStep?.contains("DELIVERY_STATUS_FAILED") == true
    }
  }

  @Test("more query values than the bound are refused")
  func manyValues() {
    let query = (0...RestBounds.queryItems).map { "a\($0)=1" }.joined(separator: "&")
    #expect { _ = try self.call("/x?\(query)") } throws: { ($0 as? ProblemDetails)?.status == 400 }
  }

  @Test("a body is read as proto3 JSON, and an empty one as an empty message")
  func body() async throws {
    let call = try call(
      "/x", .post, headers: [.contentType: "application/json; charset=utf-8"], body: "{\"userName\":\"ada\"}")
    let request: SignInRequest = try await call.body()
    #expect(request.userName == "ada")
    let empty: SignInRequest = try await self.call("/x", .post).body()
    #expect(empty == SignInRequest())
  }

  @Test("a body that is not said to be JSON is refused, so that a plain form of another site cannot post one")
  func form() async throws {
    let call = try call("/x", .post, headers: [.contentType: "text/plain"], body: "{}")
    await #expect { let _: SignInRequest = try await call.body() } throws: { ($0 as? ProblemDetails)?.status == 415 }
  }

  @Test("a body that is no such message is refused with 400")
  func malformed() async throws {
    let call = try call("/x", .post, headers: [.contentType: "application/json"], body: "{\"userName\":")
    await #expect { let _: SignInRequest = try await call.body() } throws: { ($0 as? ProblemDetails)?.status == 400 }
  }

  @Test("a body over the bound is refused, by its announced length or by what comes")
  func large() async throws {
    let text = String(repeating: " ", count: RestBounds.bodyBytes + 1)
    let json: HTTPFields = [.contentType: "application/json"]
    let coming = try call("/x", .post, headers: json, body: text)
    await #expect { let _: SignInRequest = try await coming.body() } throws: { ($0 as? ProblemDetails)?.status == 413 }
    let announced = try call("/x", .post, headers: [.contentType: "application/json", .contentLength: "9999999"])
    await #expect { let _: SignInRequest = try await announced.body() } throws: {
      ($0 as? ProblemDetails)?.status == 413
    }
  }

  @Test("the caller's token goes on to the services, from either place")
  func token() throws {
    #expect(try call(headers: [.authorization: "Bearer t"]).onward().metadata["authorization"] == "Bearer t")
    #expect(try call(headers: [.cookie: "fileferry_access=c"]).onward().metadata["authorization"] == "Bearer c")
    #expect(try call().onward().metadata["authorization"] == nil)
    #expect(try call(headers: [.authorization: "Bearer t"]).anonymous().metadata["authorization"] == nil)
  }

  @Test("a reader resumes by Last-Event-ID before the query's after")
  func resume() throws {
    var headers = HTTPFields()
    headers.put("Last-Event-ID", "7")
    #expect(try EventStreams.lastEventID(call("/x?after=3", headers: headers)) == 7)
    #expect(try EventStreams.lastEventID(call("/x?after=3")) == 3)
    #expect(try EventStreams.lastEventID(call("/x")) == nil)
    headers.put("Last-Event-ID", "x")
    #expect { _ = try EventStreams.lastEventID(try self.call("/x", headers: headers)) } throws: {
      ($0 as? ProblemDetails)?.status == 400
    }
  }
}
