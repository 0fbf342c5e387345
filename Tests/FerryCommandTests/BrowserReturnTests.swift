// What a browser comes back with, and what is not taken for it.
import NIOCore
import NIOPosix
import RPC
import Testing

@testable import FerryCommand

@Suite(.timeLimit(.minutes(1))) struct BrowserReturnTests {
  @Test("an answer is read with its encoding undone")
  func read() {
    #expect(
      BrowserReturn.parameters(ofRequestLine: "GET /?code=a%2Fb+c&state=s%C3%A9 HTTP/1.1")
        == ["code": "a/b c", "state": "sé"])
    #expect(
      BrowserReturn.parameters(ofRequestLine: "GET /?error=access_denied&state=s HTTP/1.1")
        == ["error": "access_denied", "state": "s"])
  }

  @Test("anything else is none", arguments: [
    "", "GET / HTTP/1.1", "GET /favicon.ico HTTP/1.1", "POST /?code=a&state=b HTTP/1.1", "GET /?code=a HTTP/1.1",
    "GET /?state=a HTTP/1.1", "GET /?code=%&state=b HTTP/1.1", "GET /?code=%FF&state=b HTTP/1.1", "GET /x?code=a&state=b HTTP/1.1",
  ])
  func others(line: String) { #expect(BrowserReturn.parameters(ofRequestLine: line) == nil) }

  @Test("it waits no longer than it may")
  func late() async throws {
    let back = try await BrowserReturn.listen()
    #expect(back.redirectURI.hasPrefix("http://127.0.0.1:") && back.redirectURI.hasSuffix("/"))
    await #expect { _ = try await back.parameters(within: .milliseconds(10)) } throws: {
      ($0 as? RPCError)?.code == .deadlineExceeded
    }
    await back.close()
  }
}
