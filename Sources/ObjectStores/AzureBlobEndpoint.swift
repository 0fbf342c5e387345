// Where an account's containers and blobs are on the network: Azure's own host for the account, or an endpoint that may
// end in the account's name as emulators have it ("Naming and referencing containers, blobs, and metadata", Blob
// Storage REST API). Makes text; contacts nobody.
import CloudsAzure
import Transport

struct AzureBlobEndpoint: Sendable, Equatable {
  /// Of a blob's name, in UTF-16 code units.
  static let maxNameLength = 1024

  let scheme: String
  /// With the port where one was given.
  let host: String
  /// "/ACCOUNT" or empty.
  let root: String

  var isSecure: Bool { scheme == "https" }

  /// A place to send a request to; `path` is percent-encoded.
  struct Target: Sendable, Equatable {
    let scheme: String
    let host: String
    let path: String

    func url(query: String) -> String { "\(scheme)://\(host)\(path)\(query.isEmpty ? "" : "?" + query)" }
  }

  init(_ settings: ObjectStoreSettings, account: String) throws(ObjectStoreError) {
    // "Storage account name rules": 3 to 24 lower-case letters and digits.
    guard (3...24).contains(account.utf8.count),
      account.utf8.allSatisfy({ $0.isASCIIAlphanumeric && !Self.isUpper($0) })
    else {
      throw Self.invalid(
        "\(String(account.prefix(64)).debugDescription) is no storage account's name.",
        "Give its 3 to 24 lower-case letters and digits.")
    }
    if settings.endpoint.isEmpty {
      (scheme, host, root) = ("https", "\(account).blob.core.windows.net", "")
    } else {
      let (scheme, host, root) = try Self.parse(settings.endpoint)
      (self.scheme, self.host) = (scheme, host)
      self.root = root.isEmpty && settings.addressingStyle == .path ? "/" + account : root
    }
  }

  var service: Target { Target(scheme: scheme, host: host, path: root + "/") }

  func container(_ name: String) throws(ObjectStoreError) -> Target {
    try Self.check(container: name)
    return Target(scheme: scheme, host: host, path: "\(root)/\(AzureURIEncoding.encode(name))")
  }

  func blob(_ object: ObjectReference) throws(ObjectStoreError) -> Target {
    let container = try container(object.bucket)
    let length = object.key.utf16.count
    guard length > 0, length <= Self.maxNameLength else {
      throw Self.invalid("A blob's name of \(length) characters is none.", "Give one of 1 to \(Self.maxNameLength).")
    }
    // The service takes them for steps in the path, which would lead to another blob or container than was signed for.
    // By bytes: a combining mark after a slash would make another character of it.
    let steps = object.key.utf8.split(separator: UInt8(ascii: "/"))
    guard !steps.contains(where: { $0.elementsEqual(".".utf8) || $0.elementsEqual("..".utf8) }) else {
      throw Self.invalid(
        "The blob's name \(String(object.key.prefix(255)).debugDescription) has a \".\" or \"..\" between slashes.",
        "Name the blob without them.")
    }
    let path = "\(container.path)/\(AzureURIEncoding.encode(object.key, keepingSlashes: true))"
    return Target(scheme: scheme, host: host, path: path)
  }

  private static let systemContainers: Set<String> = ["$root", "$web", "$logs", "$blobchangefeed"]

  private static func check(container name: String) throws(ObjectStoreError) {
    if systemContainers.contains(name) { return }
    guard (3...63).contains(name.utf8.count),
      name.utf8.allSatisfy({ $0.isASCIIAlphanumeric && !isUpper($0) || $0 == UInt8(ascii: "-") })
    else {
      throw invalid(
        "\(String(name.prefix(255)).debugDescription) is no container's name.",
        "Give one of 3 to 63 lower-case letters, digits and hyphens.")
    }
  }

  private static func parse(
    _ endpoint: String
  ) throws(ObjectStoreError) -> (scheme: String, host: String, root: String) {
    let wrong = invalid(
      "The endpoint \(String(endpoint.prefix(255)).debugDescription) is no address of an account.",
      "Give scheme, host and port, such as https://files.example.com, and for an emulator \"/\" and the account.")
    guard let separator = endpoint.firstRange(of: "://") else { throw wrong }
    let scheme = endpoint[..<separator.lowerBound].lowercased()
    let rest = endpoint[separator.upperBound...]
    var host = rest.prefix { $0 != "/" }.lowercased()
    var root = String(rest.dropFirst(host.count))
    if root.hasSuffix("/") { root.removeLast() }
    guard scheme == "http" || scheme == "https",
      root.isEmpty || root.utf8.count > 1 && root.utf8.dropFirst().allSatisfy({ isHostByte($0) })
    else { throw wrong }
    let isBracketed = host.hasPrefix("[")
    let nameEnd = isBracketed ? host.firstIndex(of: "]").map { host.index(after: $0) } : host.firstIndex(of: ":")
    let name = host[..<(nameEnd ?? host.endIndex)], port = host[(nameEnd ?? host.endIndex)...]
    let inner = isBracketed ? name.dropFirst().dropLast() : name
    guard !inner.isEmpty, inner.utf8.allSatisfy({ isHostByte($0) || isBracketed && $0 == UInt8(ascii: ":") }) else {
      throw wrong
    }
    if !port.isEmpty {
      guard port.first == ":", let number = Int(port.dropFirst()), (1...65535).contains(number) else { throw wrong }
      host = "\(name):\(number)"
    }
    return (scheme, host, root)
  }

  private static func isHostByte(_ byte: UInt8) -> Bool { byte.isASCIIAlphanumeric || "-.".utf8.contains(byte) }

  private static func isUpper(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }

  static func invalid(_ message: String, _ nextStep: String) -> ObjectStoreError {
    ObjectStoreError(
      .invalid, provider: AzureBlobObjectStore.provider, service: AzureBlobObjectStore.service, message: message,
      nextStep: nextStep)
  }
}
