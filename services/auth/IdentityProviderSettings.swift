// The identity providers that people may sign in with, as the administrator wrote them down: one JSON file, checked when the
// service starts, so that a mistake in it is told at once and not to the first person who signs in.
import FerryAPI
import FoundationEssentials
import ServiceKit

struct IdentityProviderSettings: Sendable, Equatable {
  static let maximumFileSize = 256 << 10
  static let maximumProviders = 16
  static let maximumSecretSize = 4096

  /// In addresses and on the command line: "microsoft".
  var id: String
  /// On the button.
  var name: String
  var kind: IdentityProviderKind
  /// The issuer's identifier (OpenID Connect Discovery 1.0 section 4): the address its metadata is found under.
  var issuer: String
  var clientID: String
  /// Nil for a public client, which has only PKCE to prove itself with.
  var clientSecret: String?
  var scopes = ["openid", "profile", "email"]
  /// The claims whose values are looked up in `roles`.
  var roleClaims = ["roles", "groups"]
  /// Our roles by the provider's role or group: {"Ferry.Approver": ["approver"]}.
  var roles: [String: [Role]] = [:]
  /// Of everyone whom the provider lets in.
  var defaultRoles: [Role] = []
  /// PEM file of the authorities to trust in place of the system's.
  var caFile: String?

  /// Our roles for what a provider says of a person, in order and without doubles.
  func roles(for values: some Sequence<String>) -> [Role] {
    var found = Set(defaultRoles)
    for value in values { found.formUnion(roles[value] ?? []) }
    return found.sorted { $0.rawValue < $1.rawValue }
  }
}

extension IdentityProviderSettings {
  private struct File: Decodable {
    var providers: [Entry]
  }

  private struct Entry: Decodable {
    var id: String
    var name: String?
    var kind: String?
    var issuer: String
    var clientId: String
    var clientSecretFile: String?
    var scopes: [String]?
    var roleClaims: [String]?
    var roles: [String: [String]]?
    var defaultRoles: [String]?
    var caFile: String?
  }

  /// Reads the file. Paths in it count from the file's own folder.
  static func load(_ path: String) throws(ServiceFailure) -> [IdentityProviderSettings] {
    let bytes = try PrivateFile.read(path, maximumSize: maximumFileSize)
    let file: File
    do { file = try JSONDecoder().decode(File.self, from: Data(bytes)) } catch {
      throw ServiceFailure(
        "The file of identity providers, \(path), can't be understood: \(describe(error))",
        nextStep: "Write it as the README shows, under 'Single sign-on'.")
    }
    guard file.providers.count <= maximumProviders else {
      throw ServiceFailure(
        "\(path) names \(file.providers.count) identity providers; \(maximumProviders) are allowed.",
        nextStep: "Leave some out.")
    }
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    var all: [IdentityProviderSettings] = []
    for entry in file.providers {
      let one = try settings(entry, folder: folder)
      guard !all.contains(where: { $0.id == one.id }) else { throw wrong(one.id, "is there twice", "Rename one.") }
      all.append(one)
    }
    return all
  }

  private static func settings(_ entry: Entry, folder: String) throws(ServiceFailure) -> IdentityProviderSettings {
    let id = entry.id
    let isID = (1...32).contains(id.utf8.count)
      && id.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
    guard isID else { throw wrong(id, "has no usable id", "Use 1 to 32 of the letters a to z, digits and -.") }
    let kinds: [String: IdentityProviderKind] = ["oidc": .oidc, "aws": .aws, "microsoft": .microsoft]
    guard let kind = kinds[entry.kind ?? "oidc"] else {
      throw wrong(id, "is of an unknown kind", "Use \"aws\", \"microsoft\" or \"oidc\".")
    }
    guard SecureAddress.isAllowed(entry.issuer), !entry.issuer.contains("?"), !entry.issuer.contains("#") else {
      throw wrong(
        id, "has an issuer that is no https address", "Copy it from the provider, such as https://login.example.com/v2.0.")
    }
    guard !entry.clientId.isEmpty else { throw wrong(id, "has no clientId", "Register FileFerry at the provider first.") }
    var secret: String?
    if let file = entry.clientSecretFile {
      let bytes = try PrivateFile.read(absolute(file, folder), maximumSize: maximumSecretSize)
      secret = String(String(decoding: bytes, as: UTF8.self).trimmingSpaces)
      if secret?.isEmpty == true { throw wrong(id, "has an empty secret file", "Put the client secret into it.") }
    }
    var settings = IdentityProviderSettings(
      id: id, name: entry.name ?? id, kind: kind, issuer: entry.issuer, clientID: entry.clientId, clientSecret: secret)
    if let scopes = entry.scopes { settings.scopes = scopes.contains("openid") ? scopes : ["openid"] + scopes }
    if let claims = entry.roleClaims { settings.roleClaims = claims }
    for (value, names) in entry.roles ?? [:] { settings.roles[value] = try roles(names, id) }
    settings.defaultRoles = try roles(entry.defaultRoles ?? [], id)
    settings.caFile = entry.caFile.map { absolute($0, folder) }
    guard !settings.roles.isEmpty || !settings.defaultRoles.isEmpty else {
      throw wrong(id, "gives nobody a role", "Add \"roles\" or \"defaultRoles\".")
    }
    return settings
  }

  private static func roles(_ names: [String], _ id: String) throws(ServiceFailure) -> [Role] {
    var roles: [Role] = []
    for name in names {
      guard let role = Role(claim: name) else {
        throw wrong(
          id, "gives the role \(name.debugDescription), which does not exist",
          "Use requester, approver, operator, auditor or admin.")
      }
      roles.append(role)
    }
    return roles
  }

  private static func absolute(_ path: String, _ folder: String) -> String { path.hasPrefix("/") ? path : folder + path }

  private static func wrong(_ id: String, _ what: String, _ next: String) -> ServiceFailure {
    ServiceFailure("The identity provider \(id.prefix(64).debugDescription) \(what).", nextStep: next)
  }

  /// Where and what, without the decoder's own words for its types.
  private static func describe(_ error: any Error) -> String {
    func place(_ path: [any CodingKey]) -> String { path.isEmpty ? "the file" : path.map(\.stringValue).joined(separator: ".") }
    switch error as? DecodingError {
    case .keyNotFound(let key, let context): return "\(place(context.codingPath)) lacks \"\(key.stringValue)\"."
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      return "\(place(context.codingPath)) is of the wrong type."
    default: return "it is no JSON."
    }
  }
}

/// Where secrets may be sent: over TLS, or within this machine.
enum SecureAddress {
  static func isAllowed(_ text: String) -> Bool {
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return false }
    if text.hasPrefix("https://") { return text.utf8.count > 8 }
    guard text.hasPrefix("http://") else { return false }
    let authority = text.dropFirst(7).prefix { !"/?#".contains($0) }
    let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
    return ["127.0.0.1", "[::1]", "localhost"].contains(String(host))
  }
}
