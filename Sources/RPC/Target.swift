// Where a channel's servers are: the names of gRPC targets and what they stand for (grpc/grpc doc/naming.md).
import NIOCore
import NIOPosix

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// One server's address.
public enum ServerAddress: Sendable, Hashable, CustomStringConvertible {
  /// A name or an IP address, and a port.
  case host(String, Int)
  /// The path of a Unix domain socket.
  case unix(String)

  public var description: String {
    switch self {
    case .host(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): "unix:\(path)"
    }
  }

  /// "10.0.0.7:7104", "[::1]:7104", "files.example.com:7104"
  init?(_ text: some StringProtocol) {
    let host: Substring
    let port: Substring
    if text.hasPrefix("["), let close = text.firstIndex(of: "]") {
      host = Substring(text[text.index(after: text.startIndex)..<close])
      let rest = text[text.index(after: close)...]
      guard rest.hasPrefix(":") else { return nil }
      port = Substring(rest.dropFirst())
    } else {
      guard let colon = text.lastIndex(of: ":") else { return nil }
      host = Substring(text[..<colon])
      port = Substring(text[text.index(after: colon)...])
      guard !host.contains(":") else { return nil }
    }
    guard !host.isEmpty, !host.contains(where: \.isWhitespace), let number = Int(port), (1...65535).contains(number) else { return nil }
    self = .host(String(host), number)
  }

  /// IPv4 or IPv6; nil for a name or a path.
  var ipFamily: NIOBSDSocket.ProtocolFamily? {
    guard case .host(let host, _) = self else { return nil }
    // It throws for everything but IP addresses.
    return (try? SocketAddress(ipAddress: host, port: 0))?.protocol
  }
}

public enum Target: Sendable {
  /// These addresses, in this order.
  case addresses([ServerAddress])
  /// All addresses of a name, looked up again when connections fail.
  case dns(String, Int)

  /// "dns:///name:port", "ipv4:10.0.0.7:7104,10.0.0.8:7104", "ipv6:[::1]:7104", "unix:/run/ferry.sock", "name:port".
  /// - Throws: `invalidArgument` that says what is wrong with it.
  public init(_ text: String) throws(RPCError) {
    func bad(_ why: String) -> RPCError {
      RPCError(
        .invalidArgument, "\"\(text)\" is not a target: \(why). Write dns:///name:port, ipv4:address:port[,...], "
          + "ipv6:[address]:port[,...], unix:/path or name:port.")
    }
    if text.hasPrefix("unix:") {
      let path = text.dropFirst(5)
      // "unix:///absolute" is the URI form of "unix:/absolute".
      let plain = path.hasPrefix("///") ? path.dropFirst(2) : path
      guard !plain.isEmpty, !plain.hasPrefix("//") else { throw bad("it has no path") }
      self = .addresses([.unix(String(plain))])
    } else if text.hasPrefix("dns:") {
      // An authority, a DNS server to ask, is not supported.
      let name = text.dropFirst(4)
      let plain = name.hasPrefix("///") ? name.dropFirst(3) : name
      guard !plain.hasPrefix("//") else { throw bad("a DNS server of its own cannot be named") }
      guard case .host(let host, let port)? = ServerAddress(plain) else { throw bad("it needs a name and a port") }
      self = .dns(host, port)
    } else if text.hasPrefix("ipv4:") || text.hasPrefix("ipv6:") {
      var addresses: [ServerAddress] = []
      for part in text.dropFirst(5).split(separator: ",", omittingEmptySubsequences: false) {
        guard let address = ServerAddress(part), address.ipFamily == (text.hasPrefix("ipv4:") ? .inet : .inet6) else {
          throw bad("\"\(part)\" is no \(text.hasPrefix("ipv4:") ? "IPv4" : "IPv6") address with a port")
        }
        addresses.append(address)
      }
      self = .addresses(addresses)
    } else {
      guard let address = ServerAddress(text) else { throw bad("it needs a name and a port") }
      self = .addresses([address])
    }
  }

  /// What `:authority` says unless the configuration does.
  var authority: String {
    switch self {
    case .dns(let host, let port): ServerAddress.host(host, port).description
    case .addresses(let addresses):
      if case .host? = addresses.first { addresses[0].description } else { "localhost" }
    }
  }
}

/// Looks names up, off the event loops.
public enum DNS {
  public typealias Resolve = @Sendable (_ host: String, _ port: Int) async throws(RPCError) -> [ServerAddress]

  /// What the system's resolver says (getaddrinfo), each address once.
  /// - Throws: `unavailable` with the resolver's own word.
  public static let lookup: Resolve = { (host, port) async throws(RPCError) in
    do {
      return try await NIOThreadPool.singleton.runIfActive { try blockingLookup(host, port) }
    } catch {
      throw error as? RPCError ?? RPCError(.unavailable, "the name \(host) cannot be looked up: \(error)")
    }
  }

  private static func blockingLookup(_ host: String, _ port: Int) throws -> [ServerAddress] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    #if canImport(Darwin)
      hints.ai_socktype = SOCK_STREAM
    #else
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(host, nil, &hints, &list)
    guard code == 0 else {
      throw RPCError(.unavailable, "the name \(host) cannot be resolved: \(String(cString: gai_strerror(code)))")
    }
    defer { freeaddrinfo(list) }
    var found: [ServerAddress] = []
    var next = list
    while let entry = next {
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      if getnameinfo(
        entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
      {
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let address = ServerAddress.host(String(decoding: bytes, as: UTF8.self), port)
        if !found.contains(address) { found.append(address) }
      }
      next = entry.pointee.ai_next
    }
    return found
  }
}
