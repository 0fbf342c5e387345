// A libssh2 session: handshake, host key, login. It is confined to the one thread of the connection that owns it, and
// it alone frees what libssh2 gave it. Files are the business of SFTPConnection; trust in a host key that of
// SSHHostKeyPolicy.
import CSSH2
import Synchronization

/// Not Sendable: one thread at a time, its owner's.
final class SSHSession {
  let raw: OpaquePointer
  let socket: SSHSocket
  let endpoint: SSHEndpoint

  /// `libssh2_init` is process-wide and must run once, before any session.
  private static let libraryStatus = libssh2_init(0)

  init(_ socket: SSHSocket, to endpoint: SSHEndpoint, timeout: Duration) throws(SFTPError) {
    guard Self.libraryStatus == 0, let raw = ferry_ssh_session() else {
      throw SFTPError(.failure, "libssh2 couldn't make a session.", nextStep: "Check this machine's memory.")
    }
    self.raw = raw
    self.socket = socket
    self.endpoint = endpoint
    libssh2_session_set_blocking(raw, 1)
    setTimeout(timeout)
  }

  /// The goodbye needs no answer, and a socket that is shut down makes it fail at once instead of waiting.
  deinit {
    socket.shutdown()
    libssh2_session_free(raw)
    socket.close()
  }

  func setTimeout(_ timeout: Duration) {
    libssh2_session_set_timeout(raw, SSHTimeouts.milliseconds(timeout))
  }

  /// Sends SSH_MSG_DISCONNECT, without which servers log a lost connection.
  func sayGoodbye() {
    libssh2_session_disconnect_ex(raw, SSH_DISCONNECT_BY_APPLICATION, "done", "")
  }

  // MARK: Handshake

  /// `hostKeyTypes`: the only ones to accept, comma-separated; nil for libssh2's own order.
  func handshake(hostKeyTypes: String?) throws(SFTPError) {
    if let hostKeyTypes, libssh2_session_method_pref(raw, LIBSSH2_METHOD_HOSTKEY, hostKeyTypes) != 0 {
      throw error(.handshake, "The SSH handshake with \(endpoint) couldn't be prepared", next: Self.checkServer)
    }
    guard libssh2_session_handshake(raw, socket.descriptor) == 0 else {
      throw error(.handshake, "The SSH handshake with \(endpoint) failed", next: Self.checkServer)
    }
  }

  private static let checkServer =
    "Check that an SSH server listens there, and that it offers Ed25519 or ECDSA host keys."

  var banner: String { libssh2_session_banner_get(raw).map { String(cString: $0) } ?? "" }

  func hostKey() throws(SFTPError) -> SSHHostKey {
    let sha256Length = 32
    guard let hash = libssh2_hostkey_hash(raw, LIBSSH2_HOSTKEY_HASH_SHA256) else {
      throw error(.handshake, "\(endpoint) showed no host key", next: Self.checkServer)
    }
    let bytes = [UInt8](UnsafeRawBufferPointer(start: hash, count: sha256Length))
    let type = libssh2_session_methods(raw, LIBSSH2_METHOD_HOSTKEY).map { String(cString: $0) } ?? ""
    return SSHHostKey(type: type, sha256: bytes)
  }

  // MARK: Login

  /// Returns the method that the server accepted. Each secret is offered once, so that no account is locked by retries.
  func login(_ login: SSHLogin) throws(SFTPError) -> String {
    let methods = try loginMethods(of: login.user)
    if methods.isEmpty { return "none" }
    var refusal: SFTPError?
    if let key = login.privateKey, methods.contains("publickey") {
      if authenticate(login.user, key: key, passphrase: login.passphrase) { return "publickey" }
      refusal = keyRefusal(login)
      if !isAlive { throw error(.loginRefused, "The login at \(endpoint) broke off", next: Self.checkLogin) }
    }
    if let password = login.password {
      let user = login.user
      if methods.contains("password") {
        let status = libssh2_userauth_password_ex(
          raw, user, UInt32(user.utf8.count), password, UInt32(password.utf8.count), nil)
        if status == 0 { return "password" }
        throw error(.loginRefused, "\(endpoint) refused the password of \(user)", next: Self.checkLogin)
      }
      if methods.contains("keyboard-interactive") {
        let status = ferry_ssh_keyboard_interactive(
          raw, user, UInt32(user.utf8.count), password, UInt32(password.utf8.count))
        if status == 0 { return "keyboard-interactive" }
        throw error(.loginRefused, "\(endpoint) refused the password of \(user)", next: Self.checkLogin)
      }
    }
    throw refusal
      ?? SFTPError(
        .loginRefused,
        "\(endpoint) takes \(methods.joined(separator: " or ")) for \(login.user), and none of these was given.",
        nextStep: "Add what the server takes to the destination's credentials.",
        providerCode: "LIBSSH2_ERROR_AUTHENTICATION_FAILED")
  }

  private static let checkLogin = "Check the user's name and the credentials with the server's owner."

  private func loginMethods(of user: String) throws(SFTPError) -> [String] {
    if let list = libssh2_userauth_list(raw, user, UInt32(user.utf8.count)) {
      return String(cString: list).split(separator: ",").map(String.init)
    }
    if libssh2_userauth_authenticated(raw) != 0 { return [] }
    throw error(.loginRefused, "\(endpoint) named no way to log in as \(user)", next: Self.checkLogin)
  }

  private func authenticate(_ user: String, key: String, passphrase: String?) -> Bool {
    if libssh2_version(Self.signsRSAWithSHA2) == nil, let rsa = SSHRSAKey(key, passphrase: passphrase) {
      return ferry_rsa_login(raw, user, rsa.raw) == 0
    }
    return libssh2_userauth_publickey_frommemory(
      raw, user, user.utf8.count, nil, 0, key, key.utf8.count, passphrase) == 0
  }

  /// The version (1.11.0) from which on libssh2 needs no help with RSA keys.
  private static let signsRSAWithSHA2: Int32 = 0x010B00

  private func keyRefusal(_ login: SSHLogin) -> SFTPError {
    let key = login.privateKey ?? ""
    if libssh2_version(Self.signsRSAWithSHA2) == nil, SSHRSAKey.isEncryptedOpenSSH(key) {
      return SFTPError(
        .badKey, "The private key for \(login.user) at \(endpoint) is an encrypted RSA key in OpenSSH format.",
        nextStep: "Turn a copy of it into PEM (ssh-keygen -p -m PEM -f COPY), or use an Ed25519 key.")
    }
    let refusals = [
      LIBSSH2_ERROR_AUTHENTICATION_FAILED, LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED, LIBSSH2_ERROR_TIMEOUT,
      LIBSSH2_ERROR_SOCKET_SEND, LIBSSH2_ERROR_SOCKET_RECV, LIBSSH2_ERROR_SOCKET_DISCONNECT,
    ]
    if !refusals.contains(lastError().code) {
      return error(
        .badKey, "The private key for \(login.user) at \(endpoint) couldn't be read",
        next: "Check that it is a whole OpenSSH or PEM private key, and its passphrase.")
    }
    return error(
      .loginRefused, "\(endpoint) refused the private key of \(login.user)",
      next: "Check that the key's public half is among the user's authorized keys on the server.")
  }

  // MARK: Errors

  var isAlive: Bool {
    let (code, _) = lastError()
    return code != LIBSSH2_ERROR_SOCKET_SEND && code != LIBSSH2_ERROR_SOCKET_RECV
      && code != LIBSSH2_ERROR_SOCKET_DISCONNECT && code != LIBSSH2_ERROR_TIMEOUT
  }

  func lastError() -> (code: Int32, message: String) {
    var text: UnsafeMutablePointer<CChar>?
    let code = libssh2_session_last_error(raw, &text, nil, 0)
    return (code, text.map { String(cString: $0) } ?? "")
  }

  /// libssh2's last error as `kind`, or as a time-out or lost connection where it is one.
  func error(_ kind: SFTPError.Kind, _ what: String, next: String) -> SFTPError {
    let (code, text) = lastError()
    let name = Self.name(code)
    switch code {
    case LIBSSH2_ERROR_TIMEOUT:
      return SFTPError(
        .timeout, "\(what): no answer in time.", nextStep: "Check the network and the server's load, then try again.",
        providerCode: name)
    case LIBSSH2_ERROR_SOCKET_SEND, LIBSSH2_ERROR_SOCKET_RECV, LIBSSH2_ERROR_SOCKET_DISCONNECT,
      LIBSSH2_ERROR_CHANNEL_CLOSED, LIBSSH2_ERROR_BAD_SOCKET, LIBSSH2_ERROR_SOCKET_NONE:
      return SFTPError(
        kind == .handshake ? .handshake : .connectionLost, "\(what): the connection was closed.",
        nextStep: "Check that the server is up and lets this machine in, then try again.", providerCode: name)
    default:
      return SFTPError(kind, text.isEmpty ? "\(what)." : "\(what): \(text).", nextStep: next, providerCode: name)
    }
  }

  static func name(_ code: Int32) -> String {
    let names: [Int32: String] = [
      -1: "SOCKET_NONE", -2: "BANNER_RECV", -3: "BANNER_SEND", -4: "INVALID_MAC", -5: "KEX_FAILURE", -6: "ALLOC",
      -7: "SOCKET_SEND", -8: "KEY_EXCHANGE_FAILURE", -9: "TIMEOUT", -10: "HOSTKEY_INIT", -11: "HOSTKEY_SIGN",
      -12: "DECRYPT", -13: "SOCKET_DISCONNECT", -14: "PROTO", -15: "PASSWORD_EXPIRED", -16: "FILE",
      -17: "METHOD_NONE", -18: "AUTHENTICATION_FAILED", -19: "PUBLICKEY_UNVERIFIED", -21: "CHANNEL_FAILURE",
      -22: "CHANNEL_REQUEST_DENIED", -26: "CHANNEL_CLOSED", -31: "SFTP_PROTOCOL", -33: "METHOD_NOT_SUPPORTED",
      -34: "INVAL", -43: "SOCKET_RECV", -45: "BAD_SOCKET",
    ]
    return names[code].map { "LIBSSH2_ERROR_\($0)" } ?? "LIBSSH2_ERROR \(code)"
  }
}
