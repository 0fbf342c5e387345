// The first way in: on an empty store the user "admin" is made, and its password told once. The commit of the record
// decides; a process that dies between it and the printing leaves the command reset-admin-password as the way out.
import DocumentStore
import FerryAPI
import Logging
import RPC
import ServiceKit

struct FirstAdministrator: Sendable {
  static let userName = "admin"

  let users: UserStore
  let passwords: Passwords
  let logger: Logger?
  var now: @Sendable () -> UnixMilliseconds = SystemTime.now
  var random: RandomBytes = SystemRandom.bytes

  /// Returns the sentence to print, or nil if there is an administrator already.
  func makeIfMissing(passwordFile: String?) async throws -> String? {
    if try await users.hasAdministrators() { return nil }
    let password = try password(from: passwordFile)
    let hash = try await passwords.hash(password)
    var user = StoredUser.new(Self.userName, name: "Administrator", roles: [.admin], at: now())
    user.password = hash
    guard try await users.createFirst(user) else { return nil }
    logger?.notice("the first administrator was made", metadata: ["user": .string(user.id)])
    return sentence("First administrator", password, isGiven: passwordFile != nil)
  }

  /// Gives "admin" a new password, the role and access; returns the sentence to print.
  func reset(passwordFile: String?) async throws -> String {
    let password = try password(from: passwordFile)
    guard let found = try await users.find(name: Self.userName) else {
      guard let made = try await makeIfMissing(passwordFile: passwordFile) else {
        throw ServiceFailure(
          "There is no user named \(Self.userName), but other administrators.", nextStep: "Ask one of them.")
      }
      return made
    }
    let hash = try await passwords.hash(password)
    try await users.change(id: found.user.id) { user in
      user.password = hash
      user.generation += 1
      user.profile.disabled = false
      if !user.profile.roles.contains(.admin) { user.profile.roles.append(.admin) }
    }
    return sentence("New password of the administrator", password, isGiven: passwordFile != nil)
  }

  private func sentence(_ what: String, _ password: String, isGiven: Bool) -> String {
    isGiven
      ? "\(what): user name \(Self.userName), password as in the file that was named."
      : "\(what): user name \(Self.userName), password \(password). It is shown only this once."
  }

  private func password(from file: String?) throws -> String {
    guard let file else { return PasswordGenerator.make(random) }
    let bytes = try PrivateFile.read(file, maximumSize: Passwords.maximumBytes + 2)
    var password = String(decoding: bytes, as: UTF8.self)
    // Editors end a file with a line end; it is not part of the password. Swift sees CR LF as one character.
    if password.last?.isNewline == true { password.removeLast() }
    try Passwords.checkRules(password)
    return password
  }
}
