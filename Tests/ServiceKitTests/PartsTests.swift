// The small parts: ids, traces, log lines, seals, private files, addresses.
import DocumentStore
import Glibc
import Logging
import RPC
import Synchronization
import Testing

@testable import ServiceKit

private struct Fixed: RandomNumberGenerator {
  var value: UInt64
  mutating func next() -> UInt64 { value }
}

@Suite("Identifiers")
struct RandomIDTests {
  @Test("an id is a ULID: the spec's own example time, and the largest one")
  func ulid() {
    var zero = Fixed(value: 0)
    // github.com/ulid/spec: 01ARZ3NDEK is the time 1469918176385 of its example's reference implementations.
    #expect(RandomID.make(at: 1_469_918_176_385, using: &zero).prefix(10) == "01ARYZ6S41")
    #expect(RandomID.make(at: 0, using: &zero) == "00000000000000000000000000")
    var ones = Fixed(value: .max)
    #expect(RandomID.make(prefix: "x_", at: (1 << 48) - 1, using: &ones) == "x_7ZZZZZZZZZZZZZZZZZZZZZZZZZ")
  }

  @Test("ids sort by time")
  func order() {
    var generator = SystemRandomNumberGenerator()
    let ids = stride(from: Int64(1), to: 1 << 47, by: 1 << 40).map { RandomID.make(at: $0, using: &generator) }
    #expect(ids == ids.sorted())
    #expect(Set((0..<1000).map { _ in RandomID.make() }).count == 1000)
  }

  @Test("base64url reads what it writes, and only one spelling of it")
  func base64() {
    for count in 0..<70 {
      let bytes = SystemRandom.bytes(count)
      #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
    }
    #expect(Base64URL.encode([0xFB, 0xFF]) == "-_8")
    for text in ["A", "-_9", "+/8", "AA==", "A A", "AAAAA", "é"] { #expect(Base64URL.decode(text) == nil, "\(text)") }
  }
}

@Suite("Trace context")
struct TraceContextTests {
  private static let example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

  @Test("the standard's example is read and written; a child keeps the trace under its own span")
  func readAndWrite() throws {
    let trace = try #require(TraceContext(traceparent: Self.example))
    #expect(trace.traceparent == Self.example)
    let child = trace.child()
    #expect(child.traceID == trace.traceID)
    #expect(child.spanID != trace.spanID)
    #expect(TraceContext(traceparent: TraceContext.start().traceparent) != nil)
  }

  @Test(
    "a header that is not valid starts a new trace",
    arguments: [
      "", "00", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
      "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", example + "-x", example + "x",
      "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
    ])
  func invalid(text: String) { #expect(TraceContext(traceparent: text) == nil) }

  @Test("a later version with more fields is understood")
  func later() { #expect(TraceContext(traceparent: "01" + Self.example.dropFirst(2) + "-what") != nil) }

  @Test("a call made while serving another carries its trace")
  func onward() {
    TraceContext.$current.withValue(TraceContext(traceparent: Self.example)) {
      var options = CallOptions()
      options.setTrace()
      #expect(options.metadata["traceparent"] == Self.example)
    }
  }
}

@Suite("Log lines")
struct JSONLogTests {
  @Test("a line is one JSON object with time, level, service, message, metadata and trace")
  func line() throws {
    let lines = Mutex<[String]>([])
    var logger = Logger(label: "x") { _ in
      JSONLogHandler(
        service: "ticketing", now: { 1_764_000_000_123 },
        write: { bytes in lines.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) } })
    }
    logger[metadataKey: "a"] = "\"quoted\"\n\u{1}\u{2028}"
    let trace = try #require(TraceContext(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
    TraceContext.$current.withValue(trace) {
      logger.info("made", metadata: ["n": .stringConvertible(7), "l": ["x", "y"]])
    }
    logger.debug("below the level")
    let expected =
      #"{"time":"2025-11-24T16:00:00.123Z","level":"info","service":"ticketing","message":"made","#
      + #""a":"\"quoted\"\n\u0001\u2028","l":["x","y"],"n":7,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","#
      + #""span_id":"00f067aa0ba902b7"}"# + "\n"
    #expect(lines.withLock { $0 } == [expected])
  }

  @Test("a long value is cut")
  func cut() {
    let lines = Mutex<[String]>([])
    let logger = Logger(label: "x") { _ in
      JSONLogHandler(
        service: "x", write: { bytes in lines.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) } })
    }
    logger.info("\(String(repeating: "y", count: 100_000))")
    let line = lines.withLock { $0[0] }
    #expect(line.utf8.count < JSONLogHandler.maximumValueSize + 200)
    #expect(line.contains("y…\""))
  }

  @Test(
    "times are the calendar's, leap days and all",
    arguments: [
      (Int64(0), "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
      (4_107_542_399_999, "2100-02-28T23:59:59.999Z"), (-1, "1969-12-31T23:59:59.999Z"),
      (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
    ])
  func times(time: Int64, text: String) { #expect(ISO8601.text(time) == text) }
}

@Suite("Sealed secrets and private files")
struct SecretTests {
  @Test("what was sealed opens with the same key and context, and with no other")
  func seal() throws {
    let box = SecretBox(key: SystemRandom.bytes(32))
    let secret = Array("correct horse".utf8)
    let sealed = box.seal(secret, context: "a")
    #expect(try box.open(sealed, context: "a") == secret)
    #expect(box.seal(secret, context: "a") != sealed)
    #expect(throws: SecretBox.OpenError.self) { try box.open(sealed, context: "b") }
    let other = SecretBox(key: SystemRandom.bytes(32))
    #expect(throws: SecretBox.OpenError.self) { try other.open(sealed, context: "a") }
    for index in sealed.indices {
      var changed = sealed
      changed[index] ^= 1
      #expect(throws: SecretBox.OpenError.self) { try box.open(changed, context: "a") }
    }
    #expect(throws: SecretBox.OpenError.self) { try box.open([], context: "a") }
    #expect(throws: SecretBox.OpenError.self) { try box.open([1, 2, 3], context: "a") }
  }

  @Test("a key file is made once, for its owner alone, and kept")
  func keyFile() async throws {
    try await withFolder { folder in
      let path = "\(folder)/seal.key"
      let sealed = try SecretBox(keyFile: path).seal([1, 2, 3], context: "")
      #expect(try SecretBox(keyFile: path).open(sealed, context: "") == [1, 2, 3])
      var status = stat()
      #expect(stat(path, &status) == 0)
      #expect(status.st_mode & 0o777 == 0o600)
      #expect(status.st_size == 32)
    }
  }

  @Test("many that start at once agree on one key")
  func race() async throws {
    try await withFolder { folder in
      let path = "\(folder)/key"
      let keys = try await withThrowingTaskGroup(of: [UInt8].self) { group in
        for _ in 0..<8 {
          group.addTask { try PrivateFile.readOrMake(path, maximumSize: 32) { SystemRandom.bytes(32) } }
        }
        return try await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
      }
      #expect(keys.count == 1)
    }
  }

  @Test("a data folder is closed to others, also one that was open")
  func folder() async throws {
    try await withFolder { folder in
      chmod(folder, 0o755)
      try PrivateFile.makeFolder(folder)
      var status = stat()
      #expect(stat(folder, &status) == 0)
      #expect(status.st_mode & 0o777 == 0o700)
    }
    #expect(throws: ServiceFailure.self) { try PrivateFile.makeFolder("/dev/null/x") }
  }
}

@Suite("Options")
struct OptionTests {
  @Test("addresses are read with names, IPv4 and IPv6")
  func addresses() {
    #expect(PeerAddress(argument: "auth.example:7101") == PeerAddress(host: "auth.example", port: 7101))
    #expect(PeerAddress(argument: "[::1]:7101") == PeerAddress(host: "::1", port: 7101))
    #expect(PeerAddress(argument: "[::1]:7101")?.description == "[::1]:7101")
    for text in ["", "host", "host:", ":7101", "host:0", "host:65536", "host:x"] {
      #expect(PeerAddress(argument: text) == nil, "\(text)")
    }
  }

  @Test("without arguments a service has its own port and calls its neighbours on this machine")
  func defaults() throws {
    let options = try ServiceOptions.parse([])
    #expect(options.port(for: "ticketing") == 7102)
    #expect(try ServiceOptions.parse(["--port", "0"]).port(for: "ticketing") == 0)
    #expect(throws: (any Error).self) { try ServiceOptions.parse(["--port", "70000"]) }
    #expect(try PeerOptions.parse(["--auth", "a:1"]).address(of: "auth") == PeerAddress(host: "a", port: 1))
    #expect(try PeerOptions.parse([]).address(of: "assist")?.port == 7106)
  }

  @Test("a caller's description holds no token")
  func description() {
    let caller = Caller(id: "usr_1", name: "Ada", roles: [.admin], actor: "transfer", rawToken: "eyJsecret")
    var dumped = ""
    dump(caller, to: &dumped)
    for text in [dumped, "\(caller)", String(reflecting: caller)] { #expect(!text.contains("eyJsecret")) }
  }
}
