// A status as trailers, and back: `grpc-status`, the percent-encoded `grpc-message`, `grpc-status-details-bin`, and what an
// HTTP status or a stream's reset means where there is no grpc-status (grpc/grpc doc/http-grpc-status-mapping.md).
import HTTP2
import NIOCore
import ProtoWire

enum StatusWire {
  /// What trailers may carry of a message, percent-encoded, and of details before base64: the two fit into the 8 KiB of
  /// header fields that gRPC asks every peer to take. A longer message is cut.
  static let maxMessageBytes = 2048
  static let maxDetailBytes = 4096
  private static let pushbackKey = "grpc-retry-pushback-ms"

  private static let ok: HTTP2Headers = ["grpc-status": "0"]
  static let preparedOK = PreparedHeaders(ok)

  static func trailers(_ error: RPCError?, metadata: Metadata) -> HTTP2Headers {
    if error == nil, metadata.isEmpty { return ok }
    var headers = HTTP2Headers()
    headers.add("grpc-status", "\(error?.code.rawValue ?? 0)")
    if let error {
      if !error.message.isEmpty { headers.add("grpc-message", percentEncoded(error.message)) }
      if !error.details.isEmpty {
        let status = StatusMessage.with {
          $0.code = Int32(truncatingIfNeeded: error.code.rawValue)
          $0.message = String(error.message.prefix(maxMessageBytes / 8))
          $0.details = error.details.map { detail in
            AnyMessage.with {
              $0.typeURL = detail.typeURL
              $0.value = detail.value
            }
          }
        }
        let bytes = status.encodedBytes()
        if bytes.count <= maxDetailBytes { headers.add("grpc-status-details-bin", Base64.encode(bytes)) }
      }
      if error.forbidsRetry {
        headers.add(pushbackKey, "-1")
      } else if let pushback = error.retryPushback {
        headers.add(pushbackKey, String(TimeAmount(clamping: pushback).nanoseconds / 1_000_000))
      }
      add(error.metadata, to: &headers)
    }
    add(metadata, to: &headers)
    return headers
  }

  /// Custom metadata; entries that gRPC does not allow are left out rather than ending the stream.
  static func add(_ metadata: Metadata, to headers: inout HTTP2Headers) {
    for entry in metadata.entries where Metadata.isValidKey(entry.key) && Metadata.isValidValue(entry.value) {
      headers.add(entry.key, entry.value)
    }
  }

  static func metadata(_ headers: HTTP2Headers) -> Metadata {
    var metadata = Metadata()
    headers.forEach { name, value in
      guard !name.hasPrefix(":"), !name.hasPrefix("grpc-"), name != "content-type", name != "te" else { return }
      metadata.add(name, value)
    }
    return metadata
  }

  /// The status in a header block: nil if it says OK, an error if it says so or says nothing readable.
  static func error(in headers: HTTP2Headers) -> RPCError? {
    if headers.withValue("grpc-status", { HTTP2Headers.equal($0, "0") }) == true { return nil }
    guard let text = headers["grpc-status"] else {
      return RPCError(.unknown, "the peer ended the call without a grpc-status", fromPeer: true)
    }
    guard let number = UInt32(text) else {
      return RPCError(.unknown, "the peer's grpc-status is not a number", fromPeer: true)
    }
    if number == 0 { return nil }
    var error = RPCError(
      StatusCode(rawValue: number), headers["grpc-message"].map(percentDecoded) ?? "", metadata: metadata(headers),
      fromPeer: true)
    if let text = headers["grpc-retry-pushback-ms"] {
      if let milliseconds = Int64(text), milliseconds >= 0 { error.retryPushback = .milliseconds(milliseconds) } else {
        error.forbidsRetry = true
      }
    }
    // Details that cannot be read are left out; code and message still tell what happened.
    if let raw = headers["grpc-status-details-bin"], let bytes = Base64.decode(raw.utf8),
      let status = try? StatusMessage(decoding: bytes)
    {
      error.details = status.details.map { StatusDetail(typeURL: $0.typeURL, value: $0.value) }
    }
    return error
  }

  /// What a response that is not gRPC's means.
  static func error(httpStatus: String?) -> RPCError {
    let code: StatusCode
    switch httpStatus {
    case "400": code = .internal
    case "401": code = .unauthenticated
    case "403": code = .permissionDenied
    case "404": code = .unimplemented
    case "429", "502", "503", "504": code = .unavailable
    default: code = .unknown
    }
    return RPCError(code, "the peer answered HTTP status \(httpStatus ?? "nothing") and no gRPC status", fromPeer: true)
  }

  /// What a stream's early end means ("Errors" in PROTOCOL-HTTP2.md).
  static func error(reset: HTTP2ErrorCode) -> RPCError {
    switch reset {
    case .headersTooLarge:
      RPCError(.resourceExhausted, "the peer's header fields are larger than this side takes")
    case .connectionLost: RPCError(.unavailable, "the connection was lost before the call ended")
    case .refusedStream: RPCError(.unavailable, "the peer refused the call before it began", fromPeer: true)
    case .cancel: RPCError(.cancelled, "the peer cancelled the call", fromPeer: true)
    case .enhanceYourCalm: RPCError(.resourceExhausted, "the peer asks for fewer or smaller calls", fromPeer: true)
    case .inadequateSecurity: RPCError(.permissionDenied, "the peer asks for better transport security", fromPeer: true)
    default: RPCError(.internal, "the peer ended the stream with HTTP/2 error \(reset.rawValue)", fromPeer: true)
    }
  }

  // MARK: grpc-message ("Percent-Encoded" in PROTOCOL-HTTP2.md)

  private static let hexDigits = Array("0123456789ABCDEF".utf8)

  static func percentEncoded(_ text: String) -> String {
    var output: [UInt8] = []
    for scalar in text.unicodeScalars {
      // Whole characters only: half of one could not be read.
      guard output.count + 3 * scalar.utf8.count <= maxMessageBytes else { break }
      for byte in scalar.utf8 { append(byte, to: &output) }
    }
    return String(decoding: output, as: UTF8.self)
  }

  private static func append(_ byte: UInt8, to output: inout [UInt8]) {
    if byte >= 0x20, byte <= 0x7E, byte != UInt8(ascii: "%") {
      output.append(byte)
    } else {
      output.append(UInt8(ascii: "%"))
      output.append(hexDigits[Int(byte >> 4)])
      output.append(hexDigits[Int(byte & 15)])
    }
  }

  /// Undecodable sequences stay as they are: a message is never worth an error of its own.
  static func percentDecoded(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var output: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = hexValue(bytes[index + 1]),
        let low = hexValue(bytes[index + 2])
      {
        output.append(high << 4 | low)
        index += 3
      } else {
        output.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: output, as: UTF8.self)
  }

  private static func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }
}
