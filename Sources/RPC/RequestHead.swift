// What a request's header block says to gRPC, read in one pass ("Requests", grpc/grpc doc/PROTOCOL-HTTP2.md).
import HTTP2
import NIOCore

struct RequestHead {
  enum Refusal { case notPost(isHead: Bool), notGRPC }

  private(set) var refusal: Refusal?
  private(set) var method: RegisteredMethod?
  private(set) var deadline: Deadline?
  private(set) var hasBadTimeout = false
  /// Nil if the caller names an encoding that is not known here.
  private(set) var encoding: CompressionAlgorithm? = .identity
  private(set) var acceptsGzip = false

  /// - Parameter arrived: when the caller's timeout begins.
  init(_ headers: HTTP2Headers, _ methods: MethodTable, arrived: NIODeadline) {
    var isPost = false
    var isHead = false
    var isGRPC = false
    headers.forEachField { name, value in
      switch name.count {
      case 5:
        if HTTP2Headers.equal(name, ":path") { method = methods.find(value) }
      case 7:
        guard HTTP2Headers.equal(name, ":method") else { return }
        isPost = HTTP2Headers.equal(value, "POST")
        isHead = HTTP2Headers.equal(value, "HEAD")
      case 12:
        if HTTP2Headers.equal(name, "content-type") {
          isGRPC = Self.isGRPC(value)
        } else if HTTP2Headers.equal(name, "grpc-timeout") {
          deadline = Deadline(headerValue: value, from: arrived)
          hasBadTimeout = deadline == nil
        }
      case 13:
        if HTTP2Headers.equal(name, "grpc-encoding") { encoding = CompressionAlgorithm(wireName: value) }
      case 20:
        if HTTP2Headers.equal(name, "grpc-accept-encoding") { acceptsGzip = CompressionAlgorithm.lists(value, .gzip) }
      default: break
      }
    }
    if !isPost { refusal = .notPost(isHead: isHead) } else if !isGRPC { refusal = .notGRPC }
  }

  /// "application/grpc", alone or with "+proto" or parameters; not "application/grpc-web".
  static func isGRPC(_ contentType: UnsafeRawBufferPointer) -> Bool {
    let prefix = "application/grpc" as StaticString
    let length = prefix.utf8CodeUnitCount
    guard contentType.count >= length,
      HTTP2Headers.equal(UnsafeRawBufferPointer(rebasing: contentType[0..<length]), prefix)
    else { return false }
    return contentType.count == length || contentType[length] == UInt8(ascii: "+") || contentType[length] == UInt8(ascii: ";")
  }
}
