// The calls of one connection on the server: reads each request's header block, finds its method and starts the call.
import HTTP2
import NIOCore

/// Confined to its event loop, which makes `@unchecked Sendable` true.
final class ServerConnection: HTTP2ConnectionDelegate, @unchecked Sendable {
  let loop: any EventLoop
  let executor: LoopExecutor
  let interceptors: [ServerInterceptor]
  private let router: Router
  private let peer: String
  private let configuration: ServerConfiguration
  private let onClose: @Sendable (ServerConnection) -> Void
  private(set) weak var transport: HTTP2Connection?

  init(
    transport: HTTP2Connection, loop: any EventLoop, peer: String, router: Router, interceptors: [ServerInterceptor],
    configuration: ServerConfiguration, onClose: @escaping @Sendable (ServerConnection) -> Void
  ) {
    self.transport = transport
    self.loop = loop
    executor = LoopExecutor(loop)
    self.peer = peer
    self.router = router
    self.interceptors = interceptors
    self.configuration = configuration
    self.onClose = onClose
  }

  func connection(_ connection: HTTP2Connection, opened stream: HTTP2Stream, headers: HTTP2Headers) {
    guard headers[":method"] == "POST" else {
      stream.respond([":status": "405", "allow": "POST"], endStream: true)
      return
    }
    let isGRPC = headers.withValue("content-type") { $0.starts(with: "application/grpc".utf8) } ?? false
    guard isGRPC else {
      stream.respond([":status": "415"], endStream: true)
      return
    }
    let path = headers[":path"] ?? ""
    var deadline: Deadline?
    var badTimeout = false
    headers.withValue("grpc-timeout") { text in
      deadline = Deadline(headerValue: text)
      badTimeout = deadline == nil
    }
    let context = CallContext(path: path, peer: peer, deadline: deadline, headers: headers)
    let call = ServerCall(
      context: context, connection: self, stream: stream, maxMessageSize: configuration.maxMessageSize)
    stream.delegate = call
    if badTimeout {
      call.finish(RPCError(.invalidArgument, "grpc-timeout is not a number of up to 8 digits and a unit"))
    } else if let encoding = headers["grpc-encoding"], encoding != "identity" {
      context.setInitialMetadata("grpc-accept-encoding", "identity")
      call.finish(RPCError(.unimplemented, "messages compressed with \(encoding) are not taken; send them plain"))
    } else if let makeSink = router.sink(for: path) {
      call.begin(makeSink)
    } else {
      call.finish(router.unimplemented(path))
    }
  }

  func connectionReady(_ connection: HTTP2Connection) {}
  func connectionGoingAway(_ connection: HTTP2Connection, error: HTTP2ErrorCode) {}
  func connectionClosed(_ connection: HTTP2Connection, reason: String) { onClose(self) }
}
