// The byte entry of an HTTP/2 connection, as server and as client: a channel in memory, fed with the reads of one
// input. What the owner of the connection does meanwhile is in HTTP2Listeners.swift.
import HTTP2
import NIOCore
import NIOEmbedded

final class HTTP2Target: FuzzTarget {
  let role: HTTP2Connection.Role
  var measuresMemory = false
  private let conversation: HTTP2Conversation
  private var connections = 0
  private var streams = 0
  private var surviving = 0
  private var largestOutput = 0
  private var largestMemory = 0

  /// Streams of our own that a client opens before it hears anything.
  static let requests = 3
  /// Output that needs no question: SETTINGS, window updates, GOAWAY.
  static let fixedOutput = 4096
  /// A PING of 17 bytes is answered with 17; a broken frame of 9 with a RST_STREAM of 13 or one GOAWAY.
  static let outputPerByte = 8
  /// Bytes held for a connection whatever is said on it, and for each byte that was.
  static let fixedMemory = 512 << 10
  static let memoryPerByte = 80
  /// What may wait for a socket that takes nothing: up to where the channel says so, one flush and one frame.
  static let waitingOutput = WatchedSocket.highWaterMark + (64 << 10) + (32 << 10)

  init(role: HTTP2Connection.Role) {
    self.role = role
    conversation = HTTP2Conversation(isServerUnderTest: role == .server)
  }

  var name: String { role == .server ? "http2-server" : "http2-client" }

  func makeInput(_ generator: inout Generator, into input: inout [UInt8]) {
    conversation.write(&generator, into: &input)
  }

  /// Lower limits than in production, so that small inputs reach them.
  static let configuration: HTTP2Configuration = {
    var configuration = HTTP2Configuration()
    configuration.maxConcurrentStreams = 32
    configuration.streamWindow = 1 << 16
    configuration.connectionWindow = 1 << 18
    configuration.maxHeaderListSize = 4 << 10
    configuration.maxOutboundAcknowledgements = 64
    configuration.streamResetBurst = 100
    configuration.streamResetRate = 10
    configuration.idleFrameBurst = 200
    configuration.idleFrameRate = 20
    return configuration
  }()

  func check(_ input: UnsafeRawBufferPointer) throws(Finding) {
    let watch = HTTP2Watch(HTTP2Behaviour(input))
    let kept = try converse(input, watch)
    if let violation = watch.violation { throw Finding(violation) }
    guard watch.closedConnections == 1 else {
      throw Finding("the connection's end was told \(watch.closedConnections) times")
    }
    guard kept.connection.object == nil else { throw Finding("the connection is still held after its end") }
    guard kept.delegate.object == nil else { throw Finding("the connection's owner is still held after its end") }
    guard watch.liveStreams == 0 else { throw Finding("\(watch.liveStreams) owners of streams are held after the end") }
    guard watch.streams.allSatisfy({ $0.object == nil }) else { throw Finding("a stream is held after the end") }
    connections += 1
    streams += watch.opened
  }

  private struct Kept {
    let connection: Weak<HTTP2Connection>
    let delegate: Weak<WatchedConnection>
  }

  private func converse(_ input: UnsafeRawBufferPointer, _ watch: HTTP2Watch) throws(Finding) -> Kept {
    let before = measuresMemory ? Process.heldBytes() : 0
    let connection = HTTP2Connection(role: role, configuration: Self.configuration)
    let delegate = WatchedConnection(watch, window: Int(Self.configuration.streamWindow))
    connection.delegate = delegate
    let socket = WatchedSocket(watch.behaviour, isClient: role == .client)
    let channel = EmbeddedChannel(handlers: [socket, connection])
    let kept = Kept(connection: Weak(connection), delegate: Weak(delegate))
    do { try channel.connect(to: SocketAddress(unixDomainSocketPath: "/fuzz")).wait() } catch {
      throw Finding("the channel does not open: \(error)")
    }
    if role == .client { for _ in 0..<Self.requests { delegate.request(on: connection) } }
    if !watch.behaviour.requestsLate { channel.embeddedEventLoop.run() }
    feed(channel, connection, input, watch)
    channel.embeddedEventLoop.run()
    if channel.isActive, !connection.isGoingAway { surviving += 1 }
    if let mistake = socket.frames.mistake { watch.note(mistake) }
    if !socket.frames.isBetweenFrames { watch.note("what was sent ends inside a frame") }
    // Lets the time pass that a connection waits before it is gone.
    channel.embeddedEventLoop.advanceTime(by: TimeAmount.seconds(1))
    if channel.isActive { checkStarted(connection, socket, watch) }

    let allowed = Self.fixedOutput + Self.outputPerByte * input.count + watch.answered
    largestOutput = max(largestOutput, socket.bytes)
    if socket.bytes > allowed {
      watch.note("\(socket.bytes) bytes said in answer to \(input.count); \(allowed) are allowed")
    }
    if socket.waitingBytes > Self.waitingOutput {
      watch.note("\(socket.waitingBytes) bytes wait for a socket that takes none")
    }
    if measuresMemory {
      let held = Process.heldBytes() - before
      largestMemory = max(largestMemory, held)
      let most = Self.fixedMemory + Self.memoryPerByte * input.count + 2 * watch.answered
      if held > most { watch.note("\(held) bytes held after an input of \(input.count)") }
    }
    // A channel that closed itself, or met an error, throws here; the checks above and below say what matters of it.
    _ = try? channel.finish(acceptAlreadyClosed: true)
    return kept
  }

  /// Client: after the peer's GOAWAY no request is sent any more. What has not been sent by now never will be,
  /// and its owner must have been told.
  private func checkStarted(_ connection: HTTP2Connection, _ socket: WatchedSocket, _ watch: HTTP2Watch) {
    guard role == .client, watch.peerGoesAway, !watch.behaviour.stalls else { return }
    connection.forEachStream { stream in
      guard !socket.frames.started.contains(stream.id) else { return }
      watch.note("stream \(stream.id) was never sent and is not closed")
    }
  }

  private func feed(
    _ channel: EmbeddedChannel, _ connection: HTTP2Connection, _ input: UnsafeRawBufferPointer, _ watch: HTTP2Watch
  ) {
    var count = 0
    for read in HTTP2Reads(input) {
      guard channel.isActive || watch.behaviour.readsAfterClose else { return }
      // An error that the handler passes on is as good as a close.
      _ = try? channel.writeInbound(ByteBuffer(bytes: read))
      count += 1
      if count == 2, watch.behaviour.drains { connection.drainAndClose(after: .milliseconds(1)) }
      guard channel.isActive else { continue }
      channel.embeddedEventLoop.run()
      if watch.behaviour.drains { channel.embeddedEventLoop.advanceTime(by: .microseconds(400)) }
    }
  }

  func budget(for input: UnsafeRawBufferPointer) -> Budget {
    Budget(fixedMicroseconds: 10_000, nanosecondsPerByte: 2000)
  }

  func describe(_ input: UnsafeRawBufferPointer) -> String {
    "\(input.count) bytes in \(HTTP2Reads(input).reduce(0) { count, _ in count + 1 }) reads"
  }

  func summary() -> [String] {
    [
      "\(streams) streams on \(connections) connections, \(surviving) of them open at the end",
      "most output \(largestOutput) bytes, most memory held \(largestMemory >> 10) KiB",
    ]
  }
}
