// A tiny blocking server on loopback for these tests and, by a link, for those of ObjectStores: one thread a
// connection, and a script that says what each does. It shares no code with the client under test.
import Foundation
import Glibc
import Synchronization

final class ScriptedServer: Sendable {
  typealias Script = @Sendable (Connection) -> Void

  let port: Int
  private let listener: Int32
  private let accepted = Mutex(0)

  var connections: Int { accepted.withLock { $0 } }
  var url: String { "http://127.0.0.1:\(port)" }

  init(_ script: @escaping Script) throws {
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let listener = listener
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        bind(listener, generic, length) == 0 && listen(listener, 64) == 0
          && getsockname(listener, generic, &length) == 0
      }
    }
    guard code else { throw POSIXError(.EADDRINUSE) }
    port = Int(UInt16(bigEndian: address.sin_port))
    Thread.detachNewThread { [weak self] in
      while true {
        let socket = accept(listener, nil, nil)
        guard socket >= 0 else { break }
        self?.accepted.withLock { $0 += 1 }
        Thread.detachNewThread {
          let connection = Connection(socket)
          script(connection)
          connection.close()
        }
      }
      Glibc.close(listener)
    }
  }

  // The accepting thread closes it: closed here, its number could be another test's listener before that thread looks.
  deinit { Glibc.shutdown(listener, Int32(SHUT_RDWR)) }

  /// Answers each request on each connection, which stays open.
  static func http(_ answer: @escaping @Sendable (Request) -> Answer) throws -> ScriptedServer {
    try ScriptedServer { connection in
      while let request = connection.request() { connection.write(answer(request)) }
    }
  }

  struct Request: Sendable {
    var method: String
    var target: String
    var headers: [(name: String, value: String)]
    var body: [UInt8]

    subscript(name: String) -> String? {
      headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
  }

  struct Answer: Sendable {
    var status = 200
    var headers: [(String, String)] = []
    var body = ""
    /// HEAD's answers and others that state a length they don't send.
    var statedLength: Int?
  }

  /// Used by its own thread alone, hence unchecked.
  final class Connection: @unchecked Sendable {
    private let socket: Int32
    private var buffer: [UInt8] = []

    init(_ socket: Int32) { self.socket = socket }

    func close() { Glibc.close(socket) }

    /// nil when the peer has gone.
    func line() -> String? {
      while true {
        if let end = buffer.firstIndex(of: 10) {
          defer { buffer.removeFirst(end + 1) }
          return String(decoding: buffer[..<end].filter { $0 != 13 }, as: UTF8.self)
        }
        guard fill() else { return nil }
      }
    }

    func request() -> Request? {
      guard let first = line()?.split(separator: " "), first.count == 3 else { return nil }
      var request = Request(method: String(first[0]), target: String(first[1]), headers: [], body: [])
      while let header = line(), !header.isEmpty {
        let parts = header.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        request.headers.append((String(parts[0]), parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""))
      }
      let length = request["content-length"].flatMap { Int($0) } ?? 0
      while buffer.count < length { guard fill() else { return nil } }
      request.body = Array(buffer.prefix(length))
      buffer.removeFirst(length)
      return request
    }

    func write(_ answer: Answer) {
      var text =
        "HTTP/1.1 \(answer.status) Scripted\r\nContent-Length: \(answer.statedLength ?? answer.body.utf8.count)\r\n"
      for (name, value) in answer.headers { text += "\(name): \(value)\r\n" }
      write(text + "\r\n" + answer.body)
    }

    func write(_ text: String) {
      let bytes = Array(text.utf8)
      var sent = 0
      while sent < bytes.count {
        let count = bytes[sent...].withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        guard count > 0 else { return }
        sent += count
      }
    }

    /// Blocks until the peer sends more or goes; false when it has gone.
    @discardableResult
    func fill() -> Bool {
      var chunk = [UInt8](repeating: 0, count: 65536)
      let count = recv(socket, &chunk, chunk.count, 0)
      guard count > 0 else { return false }
      buffer += chunk[..<count]
      return true
    }
  }
}

/// Something that happens once; threads and tasks can wait for it.
final class Event: Sendable {
  private let semaphore = DispatchSemaphore(value: 0)

  func happen() { semaphore.signal() }

  /// False when it has not happened in time: a test that would hang fails instead.
  func waitBlocking(seconds: Double = 20) -> Bool {
    guard semaphore.wait(timeout: .now() + seconds) == .success else { return false }
    semaphore.signal()
    return true
  }

  func wait() async -> Bool {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: self.waitBlocking()) }
    }
  }
}
