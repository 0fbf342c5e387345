// Logging in at a real server with each kind of credential, and what a person is told when it fails.
import Foundation
import Testing

@testable import Destinations
@testable import Transport

/// A local user with a password, made once.
enum PasswordUser {
  static let name = "ferrytest"
  static let password = "pass word-\u{E9}%42"
  private static let made = Result { try make() }
  static func ensure() throws { try made.get() }

  private static func make() throws {
    if (try? run("/usr/bin/id", [name])) == nil { try run("/usr/sbin/useradd", ["-m", name]) }
    try run("/usr/sbin/chpasswd", [], input: "\(name):\(password)\n")
  }
}

@Suite("Logins", .enabled(if: OpenSSHServer.isInstalled)) struct LoginTests {
  private func login(
    _ server: OpenSSHServer, user: String = "root", _ secrets: DestinationSecrets
  ) async throws -> String {
    let destination = SFTPDestination(try server.settings(user: user, secrets: secrets))
    let method = try await destination.server().loginMethod
    await destination.close()
    return method
  }

  @Test("a password logs in")
  func password() async throws {
    try PasswordUser.ensure()
    let server = try OpenSSHServer()
    let secrets = DestinationSecrets(password: PasswordUser.password)
    #expect(try await login(server, user: PasswordUser.name, secrets) == "password")
  }

  @Test("a server that asks interactively is answered with the password")
  func keyboardInteractive() async throws {
    try PasswordUser.ensure()
    let server = try OpenSSHServer(
      settings: ["PasswordAuthentication no", "KbdInteractiveAuthentication yes", "UsePAM yes"])
    let secrets = DestinationSecrets(password: PasswordUser.password)
    #expect(try await login(server, user: PasswordUser.name, secrets) == "keyboard-interactive")
  }

  @Test("a wrong password is refused, not retried and not repeated")
  func wrongPassword() async throws {
    try PasswordUser.ensure()
    let server = try OpenSSHServer()
    let error = await #expect(throws: DestinationError.self) {
      try await login(server, user: PasswordUser.name, DestinationSecrets(password: "n0t-this"))
    }
    #expect(error?.kind == .loginRefused)
    #expect(error?.retryable == false)
    #expect(error?.providerCode == "LIBSSH2_ERROR_AUTHENTICATION_FAILED")
    #expect(error?.description.contains("n0t-this") == false)
  }

  @Test("a password where only keys are taken says so")
  func keysOnly() async throws {
    let server = try OpenSSHServer(settings: ["PasswordAuthentication no", "KbdInteractiveAuthentication no"])
    let error = await #expect(throws: DestinationError.self) {
      try await login(server, DestinationSecrets(password: "x"))
    }
    #expect(error?.kind == .loginRefused)
    #expect(error?.message.contains("publickey") == true)
  }

  struct Key: Sendable, CustomTestStringConvertible {
    let kind: [String]
    let passphrase: String
    var testDescription: String { kind.joined(separator: " ") + (passphrase.isEmpty ? "" : " encrypted") }
  }

  @Test("each kind of private key logs in", arguments: [
    Key(kind: ["-t", "ed25519"], passphrase: ""), Key(kind: ["-t", "ed25519"], passphrase: "secret phrase"),
    Key(kind: ["-t", "ecdsa"], passphrase: ""), Key(kind: ["-t", "ecdsa", "-m", "PEM"], passphrase: "secret phrase"),
    Key(kind: ["-t", "rsa", "-m", "PEM"], passphrase: ""), Key(kind: ["-t", "rsa", "-m", "PEM"], passphrase: "secret"),
    Key(kind: ["-t", "rsa", "-m", "PKCS8"], passphrase: "secret"), Key(kind: ["-t", "rsa"], passphrase: ""),
    Key(kind: ["-t", "ecdsa", "-b", "521"], passphrase: ""),
  ])
  func keys(key: Key) async throws {
    let server = try OpenSSHServer()
    let text = try server.userKey("other", key.kind, passphrase: key.passphrase)
    let secrets = DestinationSecrets(privateKey: text, passphrase: key.passphrase.isEmpty ? nil : key.passphrase)
    #expect(try await login(server, secrets) == "publickey")
  }

  @Test("an encrypted RSA key in OpenSSH format is told as what it is, if libssh2 can't use it")
  func encryptedOpenSSHRSA() async throws {
    let server = try OpenSSHServer()
    let text = try server.userKey("other", ["-t", "rsa"], passphrase: "secret")
    do {
      #expect(try await login(server, DestinationSecrets(privateKey: text, passphrase: "secret")) == "publickey")
    } catch let error as DestinationError {
      #expect(error.message.contains("encrypted RSA key in OpenSSH format"))
      #expect(error.nextStep.contains("ssh-keygen"))
    }
  }

  @Test("a key that isn't one, or its wrong passphrase, is told as such")
  func badKeys() async throws {
    let server = try OpenSSHServer()
    let locked = try server.userKey("locked", ["-t", "ed25519"], passphrase: "right")
    for secrets in [
      DestinationSecrets(privateKey: "no key"), DestinationSecrets(privateKey: locked, passphrase: "wrong"),
    ] {
      let error = await #expect(throws: DestinationError.self) { try await login(server, secrets) }
      #expect(error?.kind == .loginRefused)
      #expect(error?.message.contains("couldn't be read") == true, "\(String(describing: error))")
    }
  }

  @Test("a server that wants a key and a password gets both")
  func keyAndPassword() async throws {
    try PasswordUser.ensure()
    let server = try OpenSSHServer(settings: ["AuthenticationMethods publickey,password"])
    let secrets = DestinationSecrets(password: PasswordUser.password, privateKey: try server.userKeyText())
    #expect(try await login(server, user: PasswordUser.name, secrets) == "password")
    let half = await #expect(throws: DestinationError.self) {
      try await login(server, user: PasswordUser.name, DestinationSecrets(privateKey: try server.userKeyText()))
    }
    #expect(half?.kind == .loginRefused)
  }

  @Test("a key that the server doesn't know is refused")
  func strangeKey() async throws {
    let server = try OpenSSHServer()
    let other = try OpenSSHServer()
    let error = await #expect(throws: DestinationError.self) {
      try await login(server, DestinationSecrets(privateKey: try other.userKeyText()))
    }
    #expect(error?.kind == .loginRefused)
    #expect(error?.message.contains("refused the private key") == true)
  }
}
