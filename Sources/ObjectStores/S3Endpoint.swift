// Where a bucket and a key are on the network: AWS's own hosts or a custom endpoint, path or virtual-hosted style
// ("Methods for accessing a bucket", Amazon S3 User Guide). Makes text; contacts nobody.
import Transport
import CloudsAWS

struct S3Endpoint: Sendable, Equatable {
  let scheme: String
  /// With the port where it is not the scheme's own, as the Host header will be.
  let host: String
  let isVirtualHosted: Bool

  /// A place to send a request to; `path` is percent-encoded.
  struct Target: Sendable, Equatable {
    let scheme: String
    let host: String
    let path: String

    func url(query: String) -> String { "\(scheme)://\(host)\(path)\(query.isEmpty ? "" : "?" + query)" }
  }

  init(_ settings: ObjectStoreSettings) throws(ObjectStoreError) {
    let region = settings.region.isEmpty ? S3Regions.standard : settings.region
    guard region.utf8.count <= 64, region.utf8.allSatisfy(Self.isHostByte) else {
      throw Self.invalid("\"\(region.prefix(64))\" is no region.", "Give one such as eu-central-1.")
    }
    if settings.endpoint.isEmpty {
      scheme = "https"
      host = "s3.\(region).amazonaws.com\(region.hasPrefix("cn-") ? ".cn" : "")"
      isVirtualHosted = settings.addressingStyle != .path
    } else {
      (scheme, host) = try Self.parse(settings.endpoint)
      isVirtualHosted = settings.addressingStyle == .virtualHosted
    }
  }

  var service: Target { Target(scheme: scheme, host: host, path: "/") }

  func bucket(_ name: String) throws(ObjectStoreError) -> Target {
    try Self.check(bucket: name)
    return isVirtual(name)
      ? Target(scheme: scheme, host: "\(name).\(host)", path: "/")
      : Target(scheme: scheme, host: host, path: "/\(name)")
  }

  func object(_ object: ObjectReference) throws(ObjectStoreError) -> Target {
    let bucket = try bucket(object.bucket)
    let length = object.key.utf8.count
    guard length > 0, length <= ObjectStoreLimits.maxKeyBytes else {
      throw Self.invalid(
        "A key of \(length) bytes is none.", "Give one of 1 to \(ObjectStoreLimits.maxKeyBytes) bytes.")
    }
    let slash = bucket.path == "/" ? "" : "/"
    let path = bucket.path + slash + AWSURIEncoding.encode(object.key, keepingSlashes: true)
    return Target(scheme: scheme, host: bucket.host, path: path)
  }

  /// AWS's certificate covers one label in front of the endpoint, so a bucket with dots needs path style over TLS.
  private func isVirtual(_ bucket: String) -> Bool {
    isVirtualHosted && !(scheme == "https" && bucket.contains(".")) && bucket == bucket.lowercased()
      && !bucket.contains("_")
  }

  /// "Bucket naming rules", and the wider ones of before 2018; nothing that could change a path or a host.
  private static func check(bucket: String) throws(ObjectStoreError) {
    guard (1...255).contains(bucket.utf8.count), bucket.utf8.allSatisfy({ isHostByte($0) || $0 == UInt8(ascii: "_") }),
      bucket.utf8.contains(where: { $0 != UInt8(ascii: ".") })
    else {
      throw invalid(
        "\(String(bucket.prefix(255)).debugDescription) is no bucket name.",
        "Give one of letters, digits, dots, hyphens and underscores.")
    }
  }

  private static func parse(_ endpoint: String) throws(ObjectStoreError) -> (scheme: String, host: String) {
    let wrong = invalid(
      "The endpoint \(String(endpoint.prefix(255)).debugDescription) is no address.",
      "Give scheme, host and port only, such as https://s3.example.com:9000.")
    guard let separator = endpoint.firstRange(of: "://") else { throw wrong }
    let scheme = endpoint[..<separator.lowerBound].lowercased()
    var host = endpoint[separator.upperBound...].lowercased()
    if host.hasSuffix("/") { host.removeLast() }
    guard scheme == "http" || scheme == "https", !host.isEmpty else { throw wrong }
    let isBracketed = host.hasPrefix("[")
    let nameEnd = isBracketed ? host.firstIndex(of: "]").map { host.index(after: $0) } : host.firstIndex(of: ":")
    let name = host[..<(nameEnd ?? host.endIndex)], port = host[(nameEnd ?? host.endIndex)...]
    let inner = isBracketed ? name.dropFirst().dropLast() : name
    guard !inner.isEmpty, inner.utf8.allSatisfy({ isHostByte($0) || isBracketed && $0 == UInt8(ascii: ":") }) else {
      throw wrong
    }
    if port.isEmpty { return (scheme, String(name)) }
    guard port.first == ":", let number = Int(port.dropFirst()), (1...65535).contains(number) else { throw wrong }
    // The signature covers the Host header, which leaves out the scheme's own port.
    return (scheme, number == (scheme == "https" ? 443 : 80) ? String(name) : "\(name):\(number)")
  }

  private static func isHostByte(_ byte: UInt8) -> Bool {
    byte.isASCIIAlphanumeric || "-.".utf8.contains(byte)
  }

  static func invalid(_ message: String, _ nextStep: String) -> ObjectStoreError {
    ObjectStoreError(.invalid, provider: S3ObjectStore.provider, message: message, nextStep: nextStep)
  }
}
