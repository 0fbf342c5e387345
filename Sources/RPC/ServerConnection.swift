// The calls of one connection on the server: reads each request's header block, finds its method and starts the call.
import HTTP2
import NIOCore
import ProtoWire
import Synchronization

/// What the connections of a server share.
final class ServerShared: Sendable {
  let methods: MethodTable
  let router: Router
  let configuration: ServerConfiguration
  // Read for every call, so not out of the whole configuration.
  let maxMessageSize: Int
  let maxUnsentBytes: Int
  let maxConcurrentCalls: Int
  let chain: InterceptorChain
  /// Calls that run now, on all connections.
  let runningCalls = Atomic<Int>(0)

  init(router: Router, interceptors: [ServerInterceptor], configuration: ServerConfiguration) {
    self.router = router
    methods = router.table()
    self.configuration = configuration
    maxMessageSize = configuration.maxMessageSize
    maxUnsentBytes = configuration.http2.maxUnsentBytes
    maxConcurrentCalls = configuration.maxConcurrentCalls
    chain = InterceptorChain(interceptors)
  }
}

/// Confined to its event loop, which makes `@unchecked Sendable` true.
final class ServerConnection: HTTP2ConnectionDelegate, @unchecked Sendable {
  let loop: any EventLoop
  let executor: LoopExecutor
  let shared: ServerShared
  let peer: String
  /// Set once, when TLS is agreed, before the first call.
  var peerCertificate: PeerCertificate?
  /// Bytes of all calls that wait to become messages.
  var heldBytes = 0
  /// Where messages are framed; its memory serves all calls.
  private var scratch = WireWriter(prefix: MessageFraming.prefixLength)
  /// Calls whose handlers start once the read at hand is taken in: no more than there are streams.
  private var ready: [ServerCall?] = []
  private var nextReady = 0
  private var isStarting = false
  /// The task that takes from `ready` now, by number, and what it is at.
  private var runner = 0
  private var startedLast: ServerCall?
  private let onClose: @Sendable (ServerConnection) -> Void
  /// The two hold each other until the channel closes, when the transport lets go. A weak reference would make each of the
  /// many retains of a call take Swift's slow path.
  let transport: HTTP2Connection

  init(
    transport: HTTP2Connection, loop: any EventLoop, peer: String, shared: ServerShared,
    onClose: @escaping @Sendable (ServerConnection) -> Void
  ) {
    self.transport = transport
    self.loop = loop
    executor = LoopExecutor(loop)
    self.peer = peer
    self.shared = shared
    self.onClose = onClose
  }

  func connection(_ connection: HTTP2Connection, opened stream: HTTP2Stream, headers: HTTP2Headers) {
    let head = RequestHead(headers, shared.methods, arrived: connection.lastHeard)
    if let refusal = head.refusal {
      refuse(stream, refusal)
      return
    }
    let call = ServerCall(
      method: head.method, headers: headers, deadline: head.deadline, connection: self, stream: stream,
      encoding: head.encoding ?? .identity, acceptsGzip: head.acceptsGzip)
    stream.delegate = call
    if head.hasBadTimeout {
      call.finish(RPCError(.invalidArgument, "grpc-timeout is not a number of up to 8 digits and a unit"))
    } else if head.encoding == nil {
      call.announcesAccepted = true
      let name = headers["grpc-encoding"] ?? ""
      call.finish(
        RPCError(.unimplemented, "messages compressed with \(name) are not taken; send them plain or with gzip"))
    } else if call.method != nil {
      if let busy = overload(connection) {
        call.finish(busy)
        return
      }
      call.begin()
      if let deadline = call.deadline { connection.wake(at: deadline.instant) }
    } else {
      call.finish(shared.router.unimplemented(headers[":path"] ?? ""))
    }
  }

  /// Why a call cannot be taken now, if the server or the connection is full.
  private func overload(_ connection: HTTP2Connection) -> RPCError? {
    if shared.runningCalls.load(ordering: .relaxed) >= shared.maxConcurrentCalls {
      return .overloaded(
        "the server runs \(shared.maxConcurrentCalls) calls already", retryAfter: shared.configuration.overloadPause)
    }
    if connection.unsentBytes >= shared.maxUnsentBytes {
      return .overloaded(
        "this connection has \(connection.unsentBytes) bytes of responses waiting to be read",
        retryAfter: shared.configuration.overloadPause)
    }
    return nil
  }

  /// What is no gRPC request is told so in HTTP's words.
  private func refuse(_ stream: HTTP2Stream, _ refusal: RequestHead.Refusal) {
    let (headers, text): (HTTP2Headers, String)
    switch refusal {
    case .notPost(let isHead):
      headers = [":status": "405", "allow": "POST", "content-type": "text/plain"]
      if isHead {
        stream.respond(headers, endStream: true)
        return
      }
      text = "This is a gRPC server; it takes POST.\n"
    case .notGRPC:
      headers = [":status": "415", "content-type": "text/plain"]
      text = "This is a gRPC server; it takes content-type application/grpc.\n"
    }
    stream.respond(headers)
    stream.write(ByteBuffer(string: text))
    stream.finish()
    if !stream.hasReceivedEnd { stream.resetAfterSending() }
    // Nobody listens to the rest of the request, which nghttp2 then drops.
  }

  /// Frames a message and writes it to the stream.
  func write(
    _ compression: CompressionAlgorithm, to stream: HTTP2Stream, _ encode: (inout WireWriter) -> Void
  ) throws(RPCError) {
    MessageFraming.frame(into: &scratch, encode)
    if compression == .gzip {
      stream.write(try MessageFraming.compressed(scratch))
    } else if scratch.isWorthGiving, stream.canAdopt, let given = scratch.surrender(keeping: MessageFraming.keptCapacity) {
      stream.write(adopting: given.block, capacity: given.capacity, count: given.count)
    } else {
      scratch.withUnsafeBytes { stream.write($0) }
    }
    if scratch.byteCount > MessageFraming.keptCapacity { scratch = WireWriter(prefix: MessageFraming.prefixLength) }
  }

  // MARK: Starting handlers

  // A task costs more than a small call. So one task runs the handlers of a read one after another, for as long as none of
  // them waits; one that does keeps that task to itself, and the next takes over at once.

  func start(_ call: ServerCall) {
    ready.append(call)
    if !transport.isReading { startReady() }
  }

  func connectionHasRead(_ connection: HTTP2Connection) { startReady() }

  private func startReady() {
    guard !isStarting, nextReady < ready.count else { return }
    isStarting = true
    while nextReady < ready.count {
      runner &+= 1
      let number = runner
      let task = Task.immediate(executorPreference: executor) { [self] in await runReady(number) }
      startedLast?.isRun(by: task)
      startedLast = nil
    }
    runner &+= 1
    ready.removeAll(keepingCapacity: true)
    nextReady = 0
    isStarting = false
  }

  private func runReady(_ number: Int) async {
    while nextReady < ready.count {
      let taken = ready[nextReady].take()
      nextReady += 1
      guard let call = taken else { continue }
      startedLast = call
      await call.runHandler()
      // Whoever waited comes back to find that another goes on, perhaps on another thread. Whoever did not cannot have been
      // cancelled: nobody has had this task yet.
      guard loop.inEventLoop, runner == number else { return }
    }
  }

  func connectionReady(_ connection: HTTP2Connection) {}
  func connectionGoingAway(_ connection: HTTP2Connection, error: HTTP2ErrorCode) {}
  func connectionClosed(_ connection: HTTP2Connection, reason: String) {
    ready = []
    nextReady = 0
    onClose(self)
  }

  /// Ends the calls whose deadline has passed; one timer serves them all.
  func connection(_ connection: HTTP2Connection, timeIs now: NIODeadline) -> NIODeadline {
    var next = NIODeadline.distantFuture
    connection.forEachStream { stream in
      guard let call = stream.delegate as? ServerCall, let deadline = call.deadline else { return }
      if deadline.instant <= now {
        call.fail(RPCError(.deadlineExceeded, "the deadline of the call passed"))
      } else {
        next = min(next, deadline.instant)
      }
    }
    return next
  }
}
