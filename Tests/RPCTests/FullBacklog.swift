// An address that never answers: a socket that listens with a full backlog, so that the kernel drops what else comes.
import NIOCore
import RPC
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

enum FullBacklog {
  static func with<R>(_ body: (ServerAddress) async throws -> R) async throws -> R {
    let listener = try #require(makeSocket())
    var fillers: [Int32] = []
    defer { for descriptor in fillers + [listener] { close(descriptor) } }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    try #require(call(&address) { bind(listener, $0, $1) } == 0)
    try #require(listen(listener, 0) == 0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let named = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
    }
    try #require(named == 0)
    // Nobody accepts: these take the few places that there are.
    for _ in 0..<4 {
      let filler = try #require(makeSocket())
      fillers.append(filler)
      _ = fcntl(filler, F_SETFL, O_NONBLOCK)
      _ = call(&address) { connect(filler, $0, $1) }
    }
    return try await body(.host("127.0.0.1", Int(UInt16(bigEndian: address.sin_port))))
  }

  private static func makeSocket() -> Int32? {
    #if canImport(Darwin)
      let descriptor = socket(AF_INET, SOCK_STREAM, 0)
    #else
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    #endif
    return descriptor >= 0 ? descriptor : nil
  }

  private static func call(
    _ address: inout sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }
}
