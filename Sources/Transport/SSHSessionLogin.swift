// Logging in over a session whose host key is trusted: each secret is offered once, so that no account is locked by
// retries.
import CSSH2

extension SSHSession {
  private static let checkLogin = "Check the user's name and the credentials with the server's owner."
  private static let denied = "LIBSSH2_ERROR_AUTHENTICATION_FAILED"
  /// The version (1.11.0) from which on libssh2 needs no help with RSA keys.
  private static let signsRSAWithSHA2: Int32 = 0x010B00

  /// Returns the method that the server accepted last.
  func login(_ login: SSHLogin) throws(SFTPError) -> String {
    var methods = try methods(for: login.user)
    if methods.isEmpty { return "none" }
    var refusal: SFTPError?
    if let key = login.privateKey, methods.contains("publickey") {
      refusal = try offer(key, of: login)
      if refusal == nil { return "publickey" }
      // After a key that is half of what the server wants, it says what the other half is.
      if login.password != nil, !Self.takesPassword(methods) { methods = try self.methods(for: login.user) }
    }
    if let password = login.password, Self.takesPassword(methods) {
      let method = methods.contains("password") ? "password" : "keyboard-interactive"
      if try accepts(password, of: login.user, by: method) { return method }
      throw SFTPError(
        .loginRefused, "\(endpoint) refused the password of \(login.user).", nextStep: Self.checkLogin,
        providerCode: Self.denied)
    }
    throw refusal
      ?? SFTPError(
        .loginRefused,
        "\(endpoint) takes \(methods.joined(separator: " or ")) for \(login.user), and none of these was given.",
        nextStep: "Add what the server takes to the destination's credentials.", providerCode: Self.denied)
  }

  private static func takesPassword(_ methods: [String]) -> Bool {
    methods.contains("password") || methods.contains("keyboard-interactive")
  }

  /// Empty if the server lets the user in without more ado.
  private func methods(for user: String) throws(SFTPError) -> [String] {
    var list: [String] = []
    let status = try step { () -> Int32 in
      guard let text = libssh2_userauth_list(self.raw, user, UInt32(user.utf8.count)) else {
        return libssh2_userauth_authenticated(self.raw) != 0 ? 0 : libssh2_session_last_errno(self.raw)
      }
      list = String(cString: text).split(separator: ",").map(String.init)
      return 0
    }
    if status == 0 { return list }
    throw error(.loginRefused, "\(endpoint) named no way to log in as \(user)", next: Self.checkLogin)
  }

  private func accepts(_ password: String, of user: String, by method: String) throws(SFTPError) -> Bool {
    let (userLength, length) = (user.utf8.count, password.utf8.count)
    let status = try step {
      method == "password"
        ? libssh2_userauth_password_ex(self.raw, user, UInt32(userLength), password, UInt32(length), nil)
        : ferry_ssh_keyboard_interactive(self.raw, self.line, user, userLength, password, length)
    }
    if status == 0 { return true }
    if [LIBSSH2_ERROR_AUTHENTICATION_FAILED, LIBSSH2_ERROR_PASSWORD_EXPIRED].contains(status) { return false }
    throw error(.loginRefused, "\(endpoint) refused the password of \(user)", next: Self.checkLogin)
  }

  /// Nil if the key was accepted, and was enough.
  private func offer(_ key: String, of login: SSHLogin) throws(SFTPError) -> SFTPError? {
    let user = login.user
    let status: Int32
    if libssh2_version(Self.signsRSAWithSHA2) == nil, let rsa = SSHRSAKey(key, passphrase: login.passphrase) {
      guard ferry_rsa_begin(&line.pointee.context, rsa.raw) == 0 else {
        throw SFTPError(
          .failure, "The private key for \(user) at \(endpoint) couldn't be prepared.",
          nextStep: "Check this machine's memory.")
      }
      defer { ferry_rsa_end(&line.pointee.context) }
      status = try step { ferry_rsa_login(self.raw, user, &self.line.pointee.context) }
    } else {
      status = try step {
        libssh2_userauth_publickey_frommemory(
          self.raw, user, user.utf8.count, nil, 0, key, key.utf8.count, login.passphrase)
      }
    }
    switch status {
    case 0:
      return nil
    case LIBSSH2_ERROR_AUTHENTICATION_FAILED, LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED:
      // libssh2 reads such a key and signs with SHA-1.
      if Self.isUnusable(key) { return unreadable(key, of: user, code: Self.denied) }
      return SFTPError(
        .loginRefused, "\(endpoint) refused the private key of \(user).",
        nextStep: "Ask the server's owner whether the public half is authorized.", providerCode: Self.denied)
    case LIBSSH2_ERROR_SOCKET_SEND, LIBSSH2_ERROR_SOCKET_RECV, LIBSSH2_ERROR_SOCKET_DISCONNECT:
      throw error(.loginRefused, Self.brokeOff(endpoint), next: Self.checkLogin)
    default:
      return unreadable(key, of: user, code: Self.name(status))
    }
  }

  private func unreadable(_ key: String, of user: String, code: String) -> SFTPError {
    if Self.isUnusable(key) {
      return SFTPError(
        .badKey, "The private key for \(user) at \(endpoint) is an encrypted RSA key in OpenSSH format.",
        nextStep: "Turn a copy of it into PEM (ssh-keygen -p -m PEM -f COPY), or use an Ed25519 key.",
        providerCode: code)
    }
    return SFTPError(
      .badKey, "The private key for \(user) at \(endpoint) couldn't be read.",
      nextStep: "Check the key's text and its passphrase.", providerCode: code)
  }

  private static func isUnusable(_ key: String) -> Bool {
    libssh2_version(signsRSAWithSHA2) == nil && SSHRSAKey.isEncryptedOpenSSH(key)
  }

  private static func brokeOff(_ endpoint: SSHEndpoint) -> String { "The login at \(endpoint) broke off" }

  private func step(_ body: () -> Int32) throws(SFTPError) -> Int32 {
    try complete(.loginRefused, Self.brokeOff(endpoint), body)
  }
}
