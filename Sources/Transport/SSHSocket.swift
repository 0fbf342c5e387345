// Name look-up and TCP connect with time limits, over all of a name's addresses, and the socket that results.
// What is spoken over the socket is libssh2's business.
import Glibc
import Synchronization

/// A connected TCP socket. `shutdown()` may be called from any thread, to end a call that another thread is blocked in.
final class SSHSocket: Sendable {
  let descriptor: Int32
  private let open = Mutex(true)

  init(_ descriptor: Int32) { self.descriptor = descriptor }
  deinit { close() }

  func shutdown() {
    open.withLock { open in if open { _ = Glibc.shutdown(descriptor, Int32(SHUT_RDWR)) } }
  }

  func close() {
    open.withLock { open in
      if open { _ = Glibc.close(descriptor) }
      open = false
    }
  }
}

/// One address that a name stands for.
struct SocketAddress: Sendable, CustomStringConvertible {
  var family: Int32
  var bytes: [UInt8]
  var description: String
}

extension SSHSocket {
  /// More addresses than this of one name are not tried.
  static let maxAddresses = 16

  // MARK: Look-up

  /// Looks the name up on a thread of its own, because getaddrinfo(3) knows no time limit: after `timeout` it is left
  /// to itself.
  static func resolve(_ endpoint: SSHEndpoint, timeout: Duration) throws(SFTPError) -> [SocketAddress] {
    let answer = Answer()
    let started = POSIXThread.detach { answer.give(lookUp(endpoint)) } != nil
    guard started, let (code, addresses) = answer.wait(timeout) else {
      throw SFTPError(
        .resolve, "The name \(endpoint.host) couldn't be looked up within \(timeout).",
        nextStep: "Check this machine's DNS, then try again.", providerCode: "EAI_AGAIN")
    }
    guard code == 0, !addresses.isEmpty else {
      let why = gai_strerror(code).map { String(cString: $0) } ?? "no address"
      throw SFTPError(
        .resolve, "The name \(endpoint.host) couldn't be looked up: \(why).",
        nextStep: "Check the spelling of the host's name and this machine's DNS.", providerCode: "EAI_\(code)")
    }
    return addresses
  }

  private static func lookUp(_ endpoint: SSHEndpoint) -> (Int32, [SocketAddress]) {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICSERV
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(endpoint.host, String(endpoint.port), &hints, &list)
    defer { if let list { freeaddrinfo(list) } }
    var addresses: [SocketAddress] = []
    var next = code == 0 ? list : nil
    while let info = next?.pointee, let address = info.ai_addr, addresses.count < maxAddresses {
      let bytes = [UInt8](UnsafeRawBufferPointer(start: address, count: Int(info.ai_addrlen)))
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      getnameinfo(address, info.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
      let name = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      addresses.append(SocketAddress(family: info.ai_family, bytes: bytes, description: name))
      next = info.ai_next
    }
    return (code, addresses)
  }

  /// A look-up's outcome on its way between two threads; `lock` guards `value`.
  private final class Answer: @unchecked Sendable {
    private var lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var ready = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var value: (Int32, [SocketAddress])?

    init() {
      pthread_mutex_init(lock, nil)
      var attributes = pthread_condattr_t()
      pthread_condattr_init(&attributes)
      pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
      pthread_cond_init(ready, &attributes)
      pthread_condattr_destroy(&attributes)
    }

    deinit {
      pthread_cond_destroy(ready)
      pthread_mutex_destroy(lock)
      ready.deallocate()
      lock.deallocate()
    }

    func give(_ value: (Int32, [SocketAddress])) {
      pthread_mutex_lock(lock)
      self.value = value
      pthread_cond_signal(ready)
      pthread_mutex_unlock(lock)
    }

    func wait(_ timeout: Duration) -> (Int32, [SocketAddress])? {
      var until = SSHThread.now(plus: timeout)
      pthread_mutex_lock(lock)
      defer { pthread_mutex_unlock(lock) }
      while value == nil {
        if pthread_cond_timedwait(ready, lock, &until) == ETIMEDOUT { break }
      }
      return value
    }
  }

  // MARK: Connect

  /// Tries each address in turn; `timeout` covers all of them, and each gets an equal share of what is left.
  static func connect(
    to addresses: [SocketAddress], of endpoint: SSHEndpoint, timeout: Duration
  ) throws(SFTPError) -> (SSHSocket, SocketAddress) {
    let end = ContinuousClock.now + timeout
    var lastError = ETIMEDOUT
    for (index, address) in addresses.enumerated() {
      let share = (end - ContinuousClock.now) / (addresses.count - index)
      guard share > .zero else { break }
      switch connect(to: address, timeout: share) {
      case .success(let socket): return (socket, address)
      case .failure(let failure): lastError = failure.code
      }
    }
    if lastError == ETIMEDOUT {
      throw SFTPError(
        .timeout, "\(endpoint) didn't answer within \(timeout).",
        nextStep: "Check the address and port, and that no firewall is in between.", providerCode: "ETIMEDOUT")
    }
    throw SFTPError(
      .connect, "\(endpoint) couldn't be reached: \(String(cString: strerror(lastError))).",
      nextStep: "Check the address and port, and that the server is running.", providerCode: errnoName(lastError))
  }

  private struct Failure: Error { let code: Int32 }

  private static func connect(to address: SocketAddress, timeout: Duration) -> Result<SSHSocket, Failure> {
    let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(address.family, flags, 0)
    guard descriptor >= 0 else { return .failure(Failure(code: errno)) }
    let connection = SSHSocket(descriptor)
    set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
    set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
    let status = address.bytes.withUnsafeBytes { raw in
      Glibc.connect(descriptor, raw.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t(raw.count))
    }
    if status == 0 { return .success(connection) }
    guard errno == EINPROGRESS else { return .failure(Failure(code: errno)) }
    guard wait(descriptor, until: ContinuousClock.now + timeout) else { return .failure(Failure(code: ETIMEDOUT)) }
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
    return code == 0 ? .success(connection) : .failure(Failure(code: code))
  }

  private static func wait(_ descriptor: Int32, until end: ContinuousClock.Instant) -> Bool {
    while true {
      let left = end - ContinuousClock.now
      guard left > .zero else { return false }
      var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      let count = Glibc.poll(&poll, 1, Int32(clamping: SSHTimeouts.milliseconds(left) + 1))
      if count > 0 { return true }
      if count < 0, errno != EINTR { return false }
    }
  }

  private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    // An option that the system refuses only costs speed.
    _ = setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  private static func errnoName(_ code: Int32) -> String {
    switch code {
    case ECONNREFUSED: "ECONNREFUSED"
    case EHOSTUNREACH: "EHOSTUNREACH"
    case ENETUNREACH: "ENETUNREACH"
    case ECONNRESET: "ECONNRESET"
    default: "errno \(code)"
    }
  }
}
