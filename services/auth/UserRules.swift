// What the fields of a user must look like.
import FerryAPI
import RPC
import ServiceKit

enum UserRules {
  static let maximumUserNameSize = 64
  static let maximumNameSize = 200
  /// RFC 5321 section 4.5.3.1.3, less the angle brackets.
  static let maximumEmailSize = 254

  /// As it is stored and compared: lower case, without spaces around it. Nil if it can be no user's name.
  static func userName(_ text: String) -> String? {
    guard text.utf8.count <= maximumUserNameSize * 2 else { return nil }
    let name = String(text.trimmingSpaces).lowercased()
    let isAllowed = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
      case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "@"), UInt8(ascii: "+"): true
      default: false
      }
    }
    return isAllowed && (1...maximumUserNameSize).contains(name.utf8.count) ? name : nil
  }

  static func checkedUserName(_ text: String) throws(RPCError) -> String {
    guard let name = userName(text) else {
      throw .invalid(
        "The user name '\(text.prefix(maximumUserNameSize))' is empty, too long or holds characters it may not.",
        next: "Use 1 to \(maximumUserNameSize) of the letters a to z, digits and . _ - @ +", subject: "user_name")
    }
    return name
  }

  static func checkedName(_ text: String) throws(RPCError) -> String {
    let name = String(text.trimmingSpaces)
    guard (1...maximumNameSize).contains(name.utf8.count), !hasControls(name) else {
      throw .invalid(
        "The name is empty, too long or holds control characters.", next: "Enter the person's full name.",
        subject: "name")
    }
    return name
  }

  /// Empty is allowed: such a person gets no mail.
  static func checkedEmail(_ text: String) throws(RPCError) -> String {
    let email = String(text.trimmingSpaces)
    if email.isEmpty { return email }
    let parts = email.split(separator: "@", omittingEmptySubsequences: false)
    let isPlausible = parts.count == 2 && parts.allSatisfy { !$0.isEmpty }
    guard isPlausible, email.utf8.count <= maximumEmailSize, !hasControls(email),
      !email.unicodeScalars.contains(where: { $0.properties.isWhitespace || "<>,;\"".unicodeScalars.contains($0) })
    else {
      throw .invalid(
        "The email address is not one.", next: "Enter it as name@example.com, or leave it empty.", subject: "email")
    }
    return email
  }

  static func checkedRoles(_ roles: [Role]) throws(RPCError) -> [Role] {
    guard roles.allSatisfy({ $0.claim != nil }) else {
      throw .invalid(
        "One of the roles does not exist.", next: "Choose from requester, approver, operator, auditor and admin.",
        subject: "roles")
    }
    guard !roles.isEmpty else {
      throw .invalid("A user needs at least one role.", next: "Name a role, such as requester.", subject: "roles")
    }
    return Set(roles).sorted { $0.rawValue < $1.rawValue }
  }

  private static func hasControls(_ text: String) -> Bool {
    text.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }
  }
}
