// gRPC-Web on the gateway's HTTP port ("gRPC Web", grpc/grpc doc/PROTOCOL-WEB.md): unary and server-streaming calls of every
// service for browsers, whose scripts see neither HTTP/2 frames nor trailers. Messages pass as they are, in binary or in base64.
import FerryAPI
import FoundationEssentials
import Hummingbird
import NIOCore
import ProtoWire
import RPC

struct GRPCWeb: Sendable {
  /// Of all messages of a request together.
  static let maxRequestBytes = 4 << 20
  /// More than any unary or server-streaming call has.
  static let maxRequestMessages = 16
  static let contentType = "application/grpc-web"
  private static let trailersFlag: UInt8 = 0x80
  private static let prefixLength = 5

  let backends: Backends

  private enum Encoding {
    case binary, text

    /// "application/grpc-web", "application/grpc-web-text+proto"; nil for what is none of them.
    init?(_ contentType: String?) {
      guard let type = contentType?.prefix(while: { $0 != ";" && $0 != " " }).lowercased() else { return nil }
      switch type {
      case GRPCWeb.contentType, GRPCWeb.contentType + "+proto": self = .binary
      case GRPCWeb.contentType + "-text", GRPCWeb.contentType + "-text+proto": self = .text
      default: return nil
      }
    }

    var contentType: String { GRPCWeb.contentType + (self == .text ? "-text+proto" : "+proto") }
  }

  /// Nil for a request that is none of gRPC-Web's.
  func response(_ request: Request) -> Response? {
    guard request.method == .post, let encoding = Encoding(request.headers[.contentType]) else { return nil }
    let body = ResponseBody { writer in
      var error: RPCError?
      var trailers = Metadata()
      do throws(RPCError) {
        let call = try await begin(request, encoding)
        while let message = try await call.next() {
          try await Self.write(Self.frame(0, message), encoding, to: writer)
        }
        trailers = call.trailingMetadata
      } catch let failure {
        // Who reads no more hears nothing of it.
        error = failure
      }
      let lines = StatusFields.all(error, trailers).map { "\($0.name): \($0.value)\r\n" }.joined()
      try await Self.write(Self.frame(Self.trailersFlag, ByteBuffer(string: lines)), encoding, to: writer)
      try await writer.finish(nil)
    }
    var response = Response(
      status: .ok, headers: [.contentType: encoding.contentType, .cacheControl: "no-store"], body: body)
    SecurityHeaders.add(to: &response)
    return response
  }

  // MARK: The call

  private func begin(_ request: Request, _ encoding: Encoding) async throws(RPCError) -> any EncodedResponses {
    let path = request.uri.path
    let options = try Self.options(request.headers)
    let messages = try Self.messages(try await Self.body(request, encoding))
    let service = path.dropFirst().prefix { $0 != "/" }
    if service == Gateway.service.fullName { return try await own(path, messages, options) }
    guard let backend = backends.all.first(where: { $0.service == service }) else {
      throw RPCError(.unimplemented, "this server has no service \(service.prefix(100))")
    }
    return try await backend.channel.opaque(path, messages, options)
  }

  /// The gateway's own methods.
  private func own(
    _ path: String, _ messages: [ByteBuffer], _ options: CallOptions
  ) async throws(RPCError) -> any EncodedResponses {
    let overview = Overview(backends: backends)
    switch path {
    case Gateway.getJourney.path:
      let request: GetJourneyRequest = try Self.decoded(messages.first)
      return OneResponse(try await overview.journey(request.deliveryID, options))
    case Gateway.getDashboard.path: return OneResponse(try await overview.dashboard(options))
    case Gateway.getSystemStatus.path:
      // For those who are signed in, as by REST.
      _ = try await backends.auth.unary(Auth.whoAmI, WhoAmIRequest(), options)
      return OneResponse(await overview.systemStatus())
    default: throw RPCError(.unimplemented, "the service \(Gateway.service.fullName) has no method at \(path.prefix(200))")
    }
  }

  private static func decoded<M: Message>(_ bytes: ByteBuffer?) throws(RPCError) -> M {
    do throws(WireError) { return try M(decoding: bytes ?? ByteBuffer()) } catch {
      throw RPCError(.internal, "a request could not be read: \(error)")
    }
  }

  /// What belongs to the HTTP request itself and is no metadata of the call.
  private static let httpFields: Set<String> = [
    "accept", "accept-encoding", "accept-language", "connection", "content-length", "content-type", "cookie", "dnt",
    "host", "keep-alive", "origin", "pragma", "cache-control", "priority", "referer", "te", "trailer", "transfer-encoding",
    "upgrade", "user-agent", "x-grpc-web", "x-user-agent", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding",
  ]

  private static func options(_ headers: HTTPFields) throws(RPCError) -> CallOptions {
    var options = CallOptions()
    for field in headers {
      let name = field.name.canonicalName
      if httpFields.contains(name) || name.hasPrefix("sec-") || name.hasPrefix("proxy-") { continue }
      options.metadata.add(name, field.value)
    }
    if let text = headers.value("grpc-timeout") {
      guard let deadline = Deadline(grpcTimeout: text) else {
        throw RPCError(.invalidArgument, "grpc-timeout is not a number of up to 8 digits and a unit")
      }
      options.deadline = deadline
    }
    return options
  }

  // MARK: Frames

  private static func body(_ request: Request, _ encoding: Encoding) async throws(RPCError) -> ByteBuffer {
    // Base64 takes four bytes for three.
    let limit = encoding == .text ? maxRequestBytes / 3 * 4 + 4 : maxRequestBytes
    let raw: ByteBuffer
    do { raw = try await request.body.collect(upTo: limit) } catch is NIOTooManyBytesError {
      throw RPCError(.resourceExhausted, "the request is larger than \(maxRequestBytes) bytes")
    } catch {
      throw RPCError(.cancelled, "the request broke off: \(error)")
    }
    guard encoding == .text else { return raw }
    // Pieces may have been encoded each for itself, so that padding stands within.
    var bytes = ByteBuffer()
    var piece = ""
    for group in raw.readableBytesView.chunked(4) {
      piece += String(decoding: group, as: UTF8.self)
      guard group.last == UInt8(ascii: "=") else { continue }
      bytes.writeBytes(try decoded(base64: piece))
      piece = ""
    }
    bytes.writeBytes(try decoded(base64: piece))
    return bytes
  }

  private static func decoded(base64 text: String) throws(RPCError) -> Data {
    guard let data = Data(base64Encoded: text) else {
      throw RPCError(.invalidArgument, "the request's body is not base64, as \(contentType)-text says")
    }
    return data
  }

  private static func messages(_ body: ByteBuffer) throws(RPCError) -> [ByteBuffer] {
    var rest = body
    var messages: [ByteBuffer] = []
    while rest.readableBytes > 0 {
      guard let flags = rest.readInteger(as: UInt8.self), let length = rest.readInteger(as: UInt32.self),
        let message = rest.readSlice(length: Int(length))
      else { throw RPCError(.invalidArgument, "the request's body ends within a message") }
      guard flags == 0 else {
        throw RPCError(.unimplemented, "the request's messages are compressed or not messages; send them plain")
      }
      guard messages.count < maxRequestMessages else {
        throw RPCError(.resourceExhausted, "the request has more than \(maxRequestMessages) messages")
      }
      messages.append(message)
    }
    return messages
  }

  private static func frame(_ flags: UInt8, _ payload: ByteBuffer) -> ByteBuffer {
    var frame = ByteBuffer()
    frame.reserveCapacity(prefixLength + payload.readableBytes)
    frame.writeInteger(flags)
    frame.writeInteger(UInt32(payload.readableBytes))
    frame.writeImmutableBuffer(payload)
    return frame
  }

  private static func write(
    _ frame: ByteBuffer, _ encoding: Encoding, to writer: any ResponseBodyWriter
  ) async throws(RPCError) {
    let bytes = encoding == .text ? ByteBuffer(string: Data(frame.readableBytesView).base64EncodedString()) : frame
    var writer = writer
    do { try await writer.write(bytes) } catch { throw RPCError(.cancelled, "the reader has gone") }
  }
}

/// The responses of a call, encoded.
private protocol EncodedResponses: Sendable {
  func next() async throws(RPCError) -> ByteBuffer?
  var trailingMetadata: Metadata { get }
}

extension OpaqueCall: EncodedResponses {}

/// A response that is there already.
private actor OneResponse: EncodedResponses {
  private var bytes: ByteBuffer?
  nonisolated let trailingMetadata = Metadata()

  init(_ message: some Message) { bytes = ByteBuffer(bytes: message.encodedBytes()) }

  func next() -> ByteBuffer? {
    defer { bytes = nil }
    return bytes
  }
}

extension Collection {
  /// Slices of so many elements; the last one may have fewer.
  fileprivate func chunked(_ size: Int) -> some Sequence<SubSequence> {
    sequence(state: startIndex) { start -> SubSequence? in
      guard start != endIndex else { return nil }
      let end = index(start, offsetBy: size, limitedBy: endIndex) ?? endIndex
      defer { start = end }
      return self[start..<end]
    }
  }
}
