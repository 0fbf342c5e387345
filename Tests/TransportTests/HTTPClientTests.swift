// HTTPClient's promises, each against a scripted server on loopback.
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import Transport

@Suite("HTTP client")
struct HTTPClientTests {
  private func failure(_ client: HTTPClient, _ request: HTTPRequest) async -> TransportError? {
    do throws(TransportError) {
      _ = try await client.execute(request)
      return nil
    } catch {
      return error
    }
  }

  @Test("status, headers in any case and body come back as sent")
  func answer() async throws {
    let server = try ScriptedServer.http { _ in
      .init(status: 404, headers: [("ETag", "\"a\""), ("X-Two", "1"), ("x-two", " 2 "), ("Empty", "")], body: "gone ü")
    }
    let response = try await HTTPClient().execute(HTTPRequest("GET", server.url))
    #expect(response.status == 404)
    #expect(response.text == "gone ü")
    #expect(response.headers["etag"] == "\"a\"")
    #expect(response.headers.all("X-TWO") == ["1", "2"])
    #expect(response.headers["empty"] == "")
    #expect(response.headers["none"] == nil)
  }

  @Test("the path goes out as it is, dots, slashes and escapes untouched")
  func pathAsIs() async throws {
    let server = try ScriptedServer.http { .init(body: $0.target) }
    for target in ["/b/a//../x%2F..%2f/./k", "/b/%F0%9F%9A%80+%2B?x=%20&y=a+b", "//lead", "/a/.."] {
      let response = try await HTTPClient().execute(HTTPRequest("GET", server.url + target))
      #expect(response.text == target)
    }
  }

  @Test("a body goes out with its length and without Expect or a made-up type")
  func body() async throws {
    let seen = Mutex<[ScriptedServer.Request]>([])
    let server = try ScriptedServer.http { request in
      seen.withLock { $0.append(request) }
      return .init()
    }
    let client = HTTPClient()
    let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
      let request = HTTPRequest(method, server.url, headers: [("X-Empty", "")], body: ByteBuffer(bytes: bytes))
      #expect(try await client.execute(request).status == 200)
    }
    _ = try await client.execute(HTTPRequest("POST", server.url))
    let requests = seen.withLock { $0 }
    #expect(requests.map(\.method) == ["POST", "PUT", "PATCH", "DELETE", "POST"])
    for request in requests.prefix(4) {
      #expect(request.body == bytes)
      #expect(request["expect"] == nil)
      #expect(request["content-type"] == nil)
      #expect(request["x-empty"] == "")
    }
    #expect(requests.last?["content-length"] == "0")
  }

  @Test("HEAD has the length of the body and no body")
  func head() async throws {
    let server = try ScriptedServer.http { _ in .init(statedLength: 123_456) }
    let response = try await HTTPClient().execute(HTTPRequest("HEAD", server.url))
    #expect(response.headers["content-length"] == "123456")
    #expect(response.body.readableBytes == 0)
  }

  @Test("a redirect is an answer, not a new request")
  func redirect() async throws {
    let server = try ScriptedServer.http { _ in .init(status: 301, headers: [("Location", "/elsewhere")]) }
    let response = try await HTTPClient().execute(HTTPRequest("GET", server.url))
    #expect(response.status == 301)
    #expect(response.headers["location"] == "/elsewhere")
  }

  @Test("an answer over its bound fails, whether its length is stated or not")
  func tooLarge() async throws {
    let stated = try ScriptedServer.http { _ in .init(body: String(repeating: "x", count: 1001)) }
    let chunked = try ScriptedServer { connection in
      guard connection.request() != nil else { return }
      connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
      connection.write("3e8\r\n\(String(repeating: "x", count: 1000))\r\n1\r\nx\r\n0\r\n\r\n")
    }
    for server in [stated, chunked] {
      let client = HTTPClient()
      #expect(await failure(client, HTTPRequest("GET", server.url, maxResponseBytes: 1000))?.kind == .tooLarge)
      #expect(
        try await client.execute(HTTPRequest("GET", server.url, maxResponseBytes: 1001)).body.readableBytes == 1001)
    }
  }

  @Test("one connection serves many requests in turn")
  func reuse() async throws {
    let server = try ScriptedServer.http { _ in .init(body: "ok") }
    let client = HTTPClient()
    for _ in 0..<20 { _ = try await client.execute(HTTPRequest("GET", server.url)) }
    #expect(server.connections == 1)
  }

  @Test("no more than the bound run at once against one host, and all are served")
  func perHost() async throws {
    struct Load {
      var now = 0, most = 0
    }
    let load = Mutex(Load()), both = Event()
    let server = try ScriptedServer.http { _ in
      let now = load.withLock { load in
        load.now += 1
        load.most = max(load.most, load.now)
        return load.now
      }
      if now == 2 { both.happen() }
      _ = both.waitBlocking()
      load.withLock { $0.now -= 1 }
      return .init(body: "ok")
    }
    var configuration = HTTPClientConfiguration()
    configuration.maxPerHost = 2
    let client = HTTPClient(configuration)
    let url = server.url
    await withTaskGroup(of: Int?.self) { group in
      for _ in 0..<30 { group.addTask { try? await client.execute(HTTPRequest("GET", url)).status } }
      for await status in group { #expect(status == 200) }
    }
    #expect(load.withLock { $0.most } == 2)
  }

  @Test("a full queue refuses the next request at once")
  func overloaded() async throws {
    let release = Event()
    let server = try ScriptedServer.http { _ in
      _ = release.waitBlocking()
      return .init()
    }
    var configuration = HTTPClientConfiguration()
    (configuration.maxInFlight, configuration.maxQueued) = (1, 1)
    let client = HTTPClient(configuration), url = server.url
    await withTaskGroup(of: TransportError?.self) { group in
      for _ in 0..<3 { group.addTask { await failure(client, HTTPRequest("GET", url)) } }
      // The two that have a place wait for the release, so the first to end is the refused one.
      let first = await group.next() ?? nil
      #expect(first?.kind == .overloaded)
      #expect(first?.retryable == true)
      release.happen()
      for await error in group { #expect(error == nil) }
    }
  }

  @Test("cancelling the task aborts the transfer and closes the connection")
  func cancellation() async throws {
    let asked = Event(), gone = Event()
    let server = try ScriptedServer { connection in
      guard connection.request() != nil else { return }
      asked.happen()
      if !connection.fill() { gone.happen() }
    }
    let client = HTTPClient(), url = server.url
    let task = Task { await failure(client, HTTPRequest("GET", url)) }
    #expect(await asked.wait())
    task.cancel()
    #expect(await task.value?.kind == .cancelled)
    #expect(await gone.wait())
  }

  @Test("a task cancelled before it asks sends nothing")
  func cancelledBefore() async throws {
    let server = try ScriptedServer.http { _ in .init() }
    let client = HTTPClient(), url = server.url, start = Event()
    let task = Task {
      _ = await start.wait()
      return await failure(client, HTTPRequest("GET", url))
    }
    task.cancel()
    start.happen()
    #expect(await task.value?.kind == .cancelled)
    #expect(server.connections == 0)
  }

  @Test("a silent server is a timeout, in flight as in the queue")
  func timeout() async throws {
    let server = try ScriptedServer { connection in while connection.fill() {} }
    var configuration = HTTPClientConfiguration()
    configuration.maxPerHost = 1
    let client = HTTPClient(configuration), url = server.url
    await withTaskGroup(of: TransportError?.self) { group in
      for _ in 0..<3 {
        group.addTask { await failure(client, HTTPRequest("GET", url, timeout: .milliseconds(80))) }
      }
      for await error in group {
        #expect(error?.kind == .timeout)
        #expect(error?.retryable == true)
        #expect(error?.message.contains("127.0.0.1:") == true)
      }
    }
  }

  @Test("a closed port, a broken-off answer, plain text for TLS and no HTTP at all are told apart")
  func kinds() async throws {
    let client = HTTPClient()
    let refused = await failure(client, HTTPRequest("GET", "http://127.0.0.1:1/x"))
    #expect(refused?.kind == .connect)
    #expect(refused?.retryable == true)
    #expect(refused?.message.contains("127.0.0.1:1") == true)

    let silent = try ScriptedServer { _ = $0.request() }
    #expect(await failure(client, HTTPRequest("GET", silent.url))?.kind == .reset)

    let short = try ScriptedServer { connection in
      if connection.request() != nil { connection.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf") }
    }
    let cut = await failure(client, HTTPRequest("GET", short.url))
    #expect(cut?.kind == .reset)
    #expect(cut?.retryable == true)

    let plain = try ScriptedServer { connection in
      _ = connection.fill()
      connection.write("HTTP/1.1 400 Bad Request\r\n\r\n")
    }
    let tls = await failure(client, HTTPRequest("GET", "https://127.0.0.1:\(plain.port)/"))
    #expect(tls?.kind == .tls)
    #expect(tls?.retryable == false)

    let other = try ScriptedServer { connection in
      if connection.request() != nil { connection.write("SSH-2.0-OpenSSH\r\n\r\n") }
    }
    #expect(await failure(client, HTTPRequest("GET", other.url))?.kind == .protocolViolation)
  }

  @Test(
    "what can't be sent is refused before anything is",
    arguments: [
      HTTPRequest("GET", "http://127.0.0.1:1/a b"), HTTPRequest("GET", "ftp://127.0.0.1:1/"),
      HTTPRequest("GET", "http://user@127.0.0.1:1/"), HTTPRequest("GET", "http:///x"), HTTPRequest("GET", "x"),
      HTTPRequest("GET", "http://127.0.0.1:1/ü"), HTTPRequest("G T", "http://127.0.0.1:1/"),
      HTTPRequest("", "http://127.0.0.1:1/"),
      HTTPRequest("GET", "http://127.0.0.1:1/", headers: [("A", "b\r\nC: d")]),
      HTTPRequest("GET", "http://127.0.0.1:1/", headers: [("A\r\nC", "d")]),
      HTTPRequest("GET", "http://127.0.0.1:1/", headers: [("", "d")]),
    ])
  func refused(_ request: HTTPRequest) async {
    #expect(await failure(HTTPClient(), request)?.kind == .invalidRequest)
  }

  @Test("a proxy in the environment is not used")
  func noProxyFromEnvironment() async throws {
    setenv("http_proxy", "http://127.0.0.1:1", 1)
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1)
    let server = try ScriptedServer.http { _ in .init(body: "direct") }
    #expect(try await HTTPClient().execute(HTTPRequest("GET", server.url)).text == "direct")
  }

  @Test("a configured proxy is used")
  func proxy() async throws {
    let proxy = try ScriptedServer.http { .init(body: $0.target) }
    var configuration = HTTPClientConfiguration()
    configuration.proxy = proxy.url
    let response = try await HTTPClient(configuration).execute(HTTPRequest("GET", "http://storage.invalid/a//b"))
    #expect(response.text == "http://storage.invalid/a//b")
  }

  @Test("shutdown fails what is under way and refuses what comes after")
  func shutdown() async throws {
    let asked = Event()
    let server = try ScriptedServer { connection in
      guard connection.request() != nil else { return }
      asked.happen()
      connection.fill()
    }
    let client = HTTPClient(), url = server.url
    let task = Task { await failure(client, HTTPRequest("GET", url)) }
    #expect(await asked.wait())
    client.shutdown()
    #expect(await task.value?.kind == .cancelled)
    #expect(await failure(client, HTTPRequest("GET", url))?.kind == .cancelled)
  }

  @Test(
    "host and port are told apart for the per-host bound",
    arguments: [
      ("http://Example.com/x:1", "example.com:80"), ("https://example.com", "example.com:443"),
      ("http://[::1]:8080/a", "[::1]:8080"), ("http://[::1]?q", "[::1]:80"), ("https://a:1#f", "a:1"),
    ])
  func hostKey(_ url: String, _ key: String) throws {
    #expect(try HTTPTarget(url).hostKey == key)
  }

  @Test("HTTP dates read back as written, and anything else is none")
  func dates() {
    #expect(HTTPDate.secondsSince1970("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777)
    #expect(HTTPDate.text(secondsSince1970: 784_111_777) == "Sun, 06 Nov 1994 08:49:37 GMT")
    for text in [
      "", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
    ] {
      #expect(HTTPDate.secondsSince1970(text) == nil)
    }
  }
}
