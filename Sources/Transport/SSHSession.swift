// A libssh2 session: handshake, host key, login, and the channels that are opened on it. It is confined to the one
// thread of the connection that owns it, and it alone frees what libssh2 gave it. Files are the business of
// SFTPConnection; trust in a host key that of SSHHostKeyPolicy.
import CSSH2
import Glibc

/// Not Sendable: one thread at a time, its owner's.
final class SSHSession {
  let raw: OpaquePointer
  let socket: SSHSocket
  let endpoint: SSHEndpoint
  /// Where libssh2 reads from and writes to; its other end is the socket.
  let line: UnsafeMutablePointer<ferry_ssh_line>
  private let timeout: Duration
  private var wake: Int32?
  /// Closed here and not yet by the server.
  private var ending: [OpaquePointer] = []
  /// libssh2 opens one channel at a time.
  private var opening: ObjectIdentifier?
  /// For one read of any channel at a time.
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)

  /// `libssh2_init` is process-wide and must run once, before any session.
  private static let libraryStatus = libssh2_init(0)

  /// The strongest first: AES-128 would save a twentieth. The last of each are for old servers.
  private static let methods = [
    (LIBSSH2_METHOD_CRYPT_CS, ciphers), (LIBSSH2_METHOD_CRYPT_SC, ciphers), (LIBSSH2_METHOD_MAC_CS, codes),
    (LIBSSH2_METHOD_MAC_SC, codes), (LIBSSH2_METHOD_KEX, exchanges), (LIBSSH2_METHOD_HOSTKEY, hostKeyTypes),
  ]
  private static let ciphers = "aes256-ctr,aes192-ctr,aes128-ctr,aes256-cbc,aes192-cbc,aes128-cbc"
  private static let codes = "hmac-sha2-256,hmac-sha2-512,hmac-sha1"
  private static let exchanges =
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
    + "diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
    + "diffie-hellman-group14-sha256,diffie-hellman-group14-sha1"
  /// libssh2 before 1.11 doesn't know the names with rsa-sha2: of RSA host keys it takes only those that sign with SHA-1.
  private static let hostKeyTypes =
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256,ssh-rsa"

  init(_ socket: SSHSocket, to endpoint: SSHEndpoint, timeout: Duration) throws(SFTPError) {
    let failure = SFTPError(.failure, "libssh2 couldn't make a session.", nextStep: "Check this machine's memory.")
    guard Self.libraryStatus == 0, let line = ferry_line_make() else { throw failure }
    guard let raw = ferry_ssh_session(line) else {
      ferry_line_free(line)
      throw failure
    }
    self.raw = raw
    self.line = line
    self.socket = socket
    self.endpoint = endpoint
    self.timeout = timeout
  }

  deinit {
    // A dead line makes every channel's goodbye fail instead of waiting for an answer.
    line.pointee.is_dead = 1
    line.pointee.in_start = line.pointee.in_end
    libssh2_session_free(raw)
    ferry_line_free(line)
    buffer.deallocate()
    socket.close()
  }

  /// Sends SSH_MSG_DISCONNECT, without which servers log a lost connection.
  func sayGoodbye() {
    libssh2_session_disconnect_ex(raw, SSH_DISCONNECT_BY_APPLICATION, "done", "")
    _ = flush()
  }

  // MARK: Handshake

  /// `hostKeyTypes`: the only ones to accept, comma-separated; nil for all.
  func handshake(hostKeyTypes: String?) throws(SFTPError) {
    let what = "The SSH handshake with \(endpoint)"
    for (method, names) in Self.methods {
      let names = known(method == LIBSSH2_METHOD_HOSTKEY ? hostKeyTypes ?? names : names, method)
      guard libssh2_session_method_pref(raw, method, names) == 0 else {
        throw error(.handshake, "\(what) couldn't be prepared", next: Self.checkServer)
      }
    }
    let status = try complete(.handshake, "\(what) failed") {
      libssh2_session_handshake(self.raw, self.socket.descriptor)
    }
    guard status == 0 else { throw error(.handshake, "\(what) failed", next: Self.checkServer) }
  }

  /// libssh2 1.10 leaves names out that it doesn't know, too, but copies memory over itself at that.
  private func known(_ names: String, _ method: Int32) -> String {
    var list: UnsafeMutablePointer<UnsafePointer<CChar>?>?
    let count = libssh2_session_supported_algs(raw, method, &list)
    guard count > 0, let list else { return "" }
    defer { libssh2_free(raw, UnsafeMutableRawPointer(mutating: list)) }
    let known = (0..<Int(count)).compactMap { list[$0].map { String(cString: $0) } }
    return names.split(separator: ",").map(String.init).filter(known.contains).joined(separator: ",")
  }

  private static let checkServer =
    "Check that an SSH server listens there, and that it offers AES-CTR and Ed25519 or ECDSA host keys."

  var banner: String { libssh2_session_banner_get(raw).map { String(cString: $0) } ?? "" }

  func hostKey() throws(SFTPError) -> SSHHostKey {
    let sha256Length = 32
    guard let hash = libssh2_hostkey_hash(raw, LIBSSH2_HOSTKEY_HASH_SHA256) else {
      throw error(.handshake, "\(endpoint) showed no host key", next: Self.checkServer)
    }
    let type = libssh2_session_methods(raw, LIBSSH2_METHOD_HOSTKEY).map { String(cString: $0) } ?? ""
    return SSHHostKey(type: type, sha256: UnsafeRawBufferPointer(start: hash, count: sha256Length))
  }

  // MARK: Network

  /// `wake`: a descriptor that from here on ends a poll by being readable.
  func startPolling(wake: Int32) { self.wake = wake }

  /// Sends what is there to be sent, and waits for the network. Some of what came is then there for libssh2: it must be
  /// read before the next poll. False if the connection is gone.
  func poll(_ limit: Duration) -> Bool {
    endChannels()
    guard flush() else { return false }
    let isSending = ferry_line_unsent(line) > 0
    var polls = [
      pollfd(fd: socket.descriptor, events: Int16(isSending ? POLLIN | POLLOUT : POLLIN), revents: 0),
      pollfd(fd: wake ?? -1, events: Int16(POLLIN), revents: 0),
    ]
    let milliseconds = limit <= .zero ? 0 : Int32(clamping: SSHTimeouts.milliseconds(limit) + 1)
    if Glibc.poll(&polls, 2, milliseconds) < 0 { return errno == EINTR }
    if let wake, polls[1].revents != 0 { ferry_wake_drain(wake) }
    if polls[0].revents & Int16(POLLOUT) != 0, !flush() { return false }
    if polls[0].revents & ~Int16(POLLOUT) == 0 { return true }
    return ferry_line_fill(line, socket.descriptor) == 0
  }

  /// What libssh2 has made and the network not yet taken.
  var unsent: Int { ferry_line_unsent(line) }

  func flush() -> Bool { ferry_line_flush(line, socket.descriptor) == 0 }

  /// Repeats a call that says LIBSSH2_ERROR_EAGAIN until it says something else.
  func complete(_ kind: SFTPError.Kind, _ what: String, _ body: () -> Int32) throws(SFTPError) -> Int32 {
    let end = ContinuousClock.now + timeout
    while true {
      let status = body()
      if status != LIBSSH2_ERROR_EAGAIN { return status }
      let left = end - ContinuousClock.now
      guard left > .zero else {
        throw SFTPError(
          .timeout, "\(what): no answer in time.",
          nextStep: "Check the network and the server's load, then try again.", providerCode: "ETIMEDOUT")
      }
      guard poll(left) else { throw lost(kind, what, "LIBSSH2_ERROR_SOCKET_RECV") }
    }
  }

  // MARK: Channels

  /// Repeats a step of a channel until it is done.
  func complete(_ what: String, next: String, _ step: () -> SSHChannel.Progress) throws(SFTPError) {
    let status = try complete(.unsupported, what) {
      switch step() {
      case .done: 0
      case .again: LIBSSH2_ERROR_EAGAIN
      case .failed: LIBSSH2_ERROR_CHANNEL_FAILURE
      }
    }
    if status != 0 { throw error(.unsupported, what, next: next) }
  }

  enum Opening {
    case opened(OpaquePointer)
    case again, failed
  }

  func openChannel(window: Int, for owner: ObjectIdentifier) -> Opening {
    guard opening == nil || opening == owner else { return .again }
    opening = owner
    let packet = UInt32(LIBSSH2_CHANNEL_PACKET_DEFAULT)
    if let channel = libssh2_channel_open_ex(raw, "session", 7, UInt32(window), packet, nil, 0) {
      opening = nil
      return .opened(channel)
    }
    if libssh2_session_last_errno(raw) == LIBSSH2_ERROR_EAGAIN { return .again }
    opening = nil
    return .failed
  }

  /// Frees a channel once the server has closed it, too. An opening that its owner gives up is taken over by the next.
  func end(_ channel: OpaquePointer?, of owner: ObjectIdentifier) {
    if opening == owner { opening = nil }
    if let channel { ending.append(channel) }
    endChannels()
  }

  private func endChannels() {
    if !ending.isEmpty { ending.removeAll { libssh2_channel_free($0) != LIBSSH2_ERROR_EAGAIN } }
  }

  // MARK: Errors

  func lastError() -> (code: Int32, message: String) {
    var text: UnsafeMutablePointer<CChar>?
    let code = libssh2_session_last_error(raw, &text, nil, 0)
    return (code, text.map { String(cString: $0) } ?? "")
  }

  /// What the server said as it ended the connection; empty if nothing.
  var farewell: String { withUnsafePointer(to: &line.pointee.farewell.0) { String(cString: $0) } }

  /// libssh2's last error as `kind`, or as a lost connection where it is one.
  func error(_ kind: SFTPError.Kind, _ what: String, next: String) -> SFTPError {
    let (code, text) = lastError()
    let name = Self.name(code)
    switch code {
    case LIBSSH2_ERROR_SOCKET_SEND, LIBSSH2_ERROR_SOCKET_RECV, LIBSSH2_ERROR_SOCKET_DISCONNECT,
      LIBSSH2_ERROR_CHANNEL_CLOSED, LIBSSH2_ERROR_BAD_SOCKET, LIBSSH2_ERROR_SOCKET_NONE:
      return lost(kind, what, name)
    default:
      return SFTPError(kind, text.isEmpty ? "\(what)." : "\(what): \(text).", nextStep: next, providerCode: name)
    }
  }

  private func lost(_ kind: SFTPError.Kind, _ what: String, _ code: String) -> SFTPError {
    let why = farewell.isEmpty ? "the connection was closed" : "the connection was closed (\(farewell))"
    return SFTPError(
      kind == .handshake ? .handshake : .connectionLost, "\(what): \(why).",
      nextStep: "Check that the server is up and lets this machine in, then try again.", providerCode: code)
  }

  static func name(_ code: Int32) -> String {
    let names: [Int32: String] = [
      -1: "SOCKET_NONE", -2: "BANNER_RECV", -3: "BANNER_SEND", -4: "INVALID_MAC", -5: "KEX_FAILURE", -6: "ALLOC",
      -7: "SOCKET_SEND", -8: "KEY_EXCHANGE_FAILURE", -9: "TIMEOUT", -10: "HOSTKEY_INIT", -11: "HOSTKEY_SIGN",
      -12: "DECRYPT", -13: "SOCKET_DISCONNECT", -14: "PROTO", -15: "PASSWORD_EXPIRED", -16: "FILE",
      -17: "METHOD_NONE", -18: "AUTHENTICATION_FAILED", -19: "PUBLICKEY_UNVERIFIED", -21: "CHANNEL_FAILURE",
      -22: "CHANNEL_REQUEST_DENIED", -26: "CHANNEL_CLOSED", -33: "METHOD_NOT_SUPPORTED", -34: "INVAL",
      -43: "SOCKET_RECV", -45: "BAD_SOCKET",
    ]
    return names[code].map { "LIBSSH2_ERROR_\($0)" } ?? "LIBSSH2_ERROR \(code)"
  }
}
