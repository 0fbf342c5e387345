// A tiny HTTP/1.1 server for tests of ranged reads: each request's head goes to a closure, which says what to answer.
import Dispatch
import Glibc
import Synchronization

final class RangeServer: Sendable {
  struct Request: Sendable {
    var head: String
    /// The first header of that name, lower case.
    func header(_ name: String) -> String? {
      head.split(separator: "\r\n").dropFirst().first { $0.lowercased().hasPrefix(name + ":") }
        .map { String($0.dropFirst(name.count + 1)).trimmed }
    }
  }
  struct Answer: Sendable {
    var status: String
    var headers: [String] = []
    var body: [UInt8] = []
  }

  let port: UInt16
  private let listener: Int32
  private let seen = Mutex<[Request]>([])
  var requests: [Request] { seen.withLock { $0 } }

  init(_ answer: @escaping @Sendable (Request) -> Answer) {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
        precondition(bind(listener, raw, length) == 0 && listen(listener, 16) == 0)
        precondition(getsockname(listener, raw, &length) == 0)
      }
    }
    self.listener = listener
    port = UInt16(bigEndian: address.sin_port)
    // Queues of their own: what blocks here must not take a thread that Swift's tasks run on.
    DispatchQueue(label: "range-server").async { [self] in accept(answer) }
  }

  func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

  private func accept(_ answer: @escaping @Sendable (Request) -> Answer) {
    while true {
      let client = Glibc.accept(listener, nil, nil)
      if client < 0 { return }
      DispatchQueue(label: "range-server.connection").async { [self] in
        serve(client, answer)
        close(client)
      }
    }
  }

  /// One request a connection.
  private func serve(_ client: Int32, _ answer: @Sendable (Request) -> Answer) {
    var head: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
      let count = recv(client, &buffer, buffer.count, 0)
      if count <= 0 { return }
      head += buffer[..<count]
    }
    let request = Request(head: String(decoding: head, as: UTF8.self))
    seen.withLock { $0.append(request) }
    let reply = answer(request)
    let lines = ["HTTP/1.1 \(reply.status)", "Content-Length: \(reply.body.count)", "Connection: close"] + reply.headers
    let bytes = Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + reply.body
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes { send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count <= 0 { return }
      sent += count
    }
  }
}

extension String {
  fileprivate var trimmed: String {
    String(drop { $0 == " " }.reversed().drop { $0 == " " || $0 == "\r" }.reversed())
  }
}
