// HTTP/1.1 over libcurl, with or without TLS: one exchange at a time per connection, connections kept and bounded.
// Follows no redirects, keeps no cookies, retries nothing: who knows what a request means decides that.
import CCurl
import NIOCore

public struct HTTPClientConfiguration: Sendable {
  public var maxInFlight = 256
  public var maxPerHost = 32
  /// Requests that may wait for a place; one more fails as `overloaded`.
  public var maxQueued = 4096
  public var timeout: Duration = .seconds(60)
  public var connectTimeout: Duration = .seconds(10)
  public var lowSpeedBytesPerSecond = 1
  public var lowSpeedWindow: Duration = .seconds(30)
  /// PEM file of the certificate authorities to trust in place of the system's.
  public var caFile: String?
  /// "http://proxy.example.com:3128"; nil goes straight to the server, whatever the environment says.
  public var proxy: String?
  public var userAgent = "FileFerry"
  /// Bytes libcurl reads from a socket at a time, held once for each exchange in flight.
  public var receiveBufferBytes = 128 * 1024

  public init() {}
}

public final class HTTPClient: Sendable {
  private let configuration: HTTPClientConfiguration
  private let loop: CurlLoop

  /// Costs nothing until the first `execute`, which starts one thread.
  public init(_ configuration: HTTPClientConfiguration = .init()) {
    self.configuration = configuration
    loop = CurlLoop(
      limits: CurlLoopLimits(
        maxInFlight: max(1, configuration.maxInFlight), maxPerHost: max(1, configuration.maxPerHost),
        maxQueued: max(0, configuration.maxQueued)),
      isMail: false)
  }

  deinit { loop.shutdown() }

  /// Any status is a response, 4xx and 5xx too. Cancelling the calling task aborts the transfer at once.
  public func execute(_ request: HTTPRequest) async throws(TransportError) -> HTTPResponse {
    let target = try HTTPTarget(request.url)
    let settings = try settings(for: request)
    let body = request.body ?? (Self.methodsWithBody.contains(request.method) ? ByteBuffer() : nil)
    let outcome = try await loop.run(
      hostKey: target.hostKey, settings: settings, upload: body, maxResponseBytes: request.maxResponseBytes,
      expectedBytes: request.expectedBytes, buffers: request.buffers, timeout: request.timeout ?? configuration.timeout)
    return HTTPResponse(status: outcome.replyCode, headers: HTTPHeaders(lines: outcome.lines), body: outcome.body)
  }

  /// Fails what is under way with `cancelled` and refuses what comes after. Returns at once.
  public func shutdown() { loop.shutdown() }

  /// These carry Content-Length: 0 even without a body (RFC 9110 section 8.6).
  private static let methodsWithBody: Set<String> = ["POST", "PUT", "PATCH"]

  private func settings(for request: HTTPRequest) throws(TransportError) -> [CurlSetting] {
    let lowSpeed = request.lowSpeedBytesPerSecond ?? configuration.lowSpeedBytesPerSecond
    var settings: [CurlSetting] = CurlSetting.common(
      caFile: configuration.caFile, connectTimeout: request.connectTimeout ?? configuration.connectTimeout)
    settings += [
      .string(CURLOPT_URL, request.url),
      .string(CURLOPT_PROTOCOLS_STR, "http,https"),
      .long(CURLOPT_PATH_AS_IS, 1),
      .long(CURLOPT_DISALLOW_USERNAME_IN_URL, 1),
      .long(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1),
      .string(CURLOPT_PROXY, configuration.proxy ?? ""),
      .string(CURLOPT_NOPROXY, configuration.proxy == nil ? "*" : ""),
      .long(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1),
      .string(CURLOPT_USERAGENT, configuration.userAgent),
      .long(CURLOPT_BUFFERSIZE, configuration.receiveBufferBytes),
      .long(CURLOPT_LOW_SPEED_LIMIT, max(0, lowSpeed)),
      .long(CURLOPT_LOW_SPEED_TIME, lowSpeed > 0 ? configuration.lowSpeedWindow.wholeMilliseconds / 1000 : 0),
    ]
    settings += try method(of: request)
    settings.append(.list(CURLOPT_HTTPHEADER, try headerLines(of: request)))
    return settings
  }

  private func method(of request: HTTPRequest) throws(TransportError) -> [CurlSetting] {
    guard !request.method.isEmpty, request.method.utf8.allSatisfy(Self.isTokenByte) else {
      throw TransportError(
        .invalidRequest, "\"\(request.method)\" is no HTTP method.", nextStep: "Correct the request.")
    }
    if request.body != nil || Self.methodsWithBody.contains(request.method) {
      return [
        .long(CURLOPT_POST, 1), .string(CURLOPT_CUSTOMREQUEST, request.method),
        .offset(CURLOPT_POSTFIELDSIZE_LARGE, Int64(request.body?.readableBytes ?? 0)),
      ]
    }
    switch request.method {
    case "GET": return [.long(CURLOPT_HTTPGET, 1)]
    case "HEAD": return [.long(CURLOPT_NOBODY, 1)]
    default: return [.long(CURLOPT_HTTPGET, 1), .string(CURLOPT_CUSTOMREQUEST, request.method)]
    }
  }

  private func headerLines(of request: HTTPRequest) throws(TransportError) -> [String] {
    var lines = ["Expect:"]  // no wait for 100 Continue: it costs a round trip
    var hasContentType = false
    for (name, value) in request.headers {
      guard !name.isEmpty, name.utf8.allSatisfy(Self.isTokenByte),
        !value.utf8.contains(where: { $0 == 0x0A || $0 == 0x0D || $0 == 0 })
      else {
        throw TransportError(
          .invalidRequest,
          "The header \(String(name.prefix(64)).debugDescription) has a line break or a character that no header may "
            + "have.", nextStep: "Correct the request.")
      }
      hasContentType = hasContentType || name.lowercased() == "content-type"
      lines.append(value.isEmpty ? "\(name);" : "\(name): \(value)")  // libcurl's way to write an empty value
    }
    if !hasContentType { lines.append("Content-Type:") }  // or libcurl would say that it is a web form
    return lines
  }

  /// RFC 9110 section 5.6.2, tchar.
  private static func isTokenByte(_ byte: UInt8) -> Bool {
    byte.isASCIIAlphanumeric || "!#$%&'*+-.^_`|~".utf8.contains(byte)
  }
}

/// The part of a URL that says where to connect.
struct HTTPTarget {
  let hostKey: String

  init(_ url: String) throws(TransportError) {
    let isPlain = url.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    guard isPlain, let separator = url.firstRange(of: "://"),
      ["http", "https"].contains(url[..<separator.lowerBound].lowercased())
    else {
      throw TransportError(
        .invalidRequest, "The address of the request is no http or https URL in percent-encoded form.",
        nextStep: "Correct it.")
    }
    let authority = url[separator.upperBound...].prefix { !"/?#".contains($0) }
    guard !authority.isEmpty, !authority.contains("@") else {
      throw TransportError(
        .invalidRequest, "The address of the request names no host, or carries a user name, which it must not.",
        nextStep: "Correct it.")
    }
    // "[::1]:8080": a colon inside the brackets is the address's own.
    let afterBrackets = authority.lastIndex(of: "]").map { authority[$0...] } ?? authority
    let hasPort = afterBrackets.contains(":")
    let isSecure = url[..<separator.lowerBound].lowercased() == "https"
    hostKey = authority.lowercased() + (hasPort ? "" : isSecure ? ":443" : ":80")
  }
}
