// The socket's place under a connection: it counts and reads what our side says, and can stall or fail.
import NIOCore
import NIOEmbedded

/// Reads the frames that our side sends. Knows only their headers (RFC 9113 section 4.1).
struct FrameReader {
  private var header: [UInt8] = []
  private var toSkip: Int
  /// The streams whose HEADERS have left.
  private(set) var started: Set<Int32> = []
  private(set) var mistake: String?

  static let headerLength = 9

  init(isClient: Bool) { toSkip = isClient ? HTTP2Conversation.preface.count : 0 }

  mutating func read(_ bytes: UnsafeRawBufferPointer) {
    var position = 0
    while position < bytes.count {
      if toSkip > 0 {
        let count = min(toSkip, bytes.count - position)
        toSkip -= count
        position += count
        continue
      }
      header.append(bytes[position])
      position += 1
      guard header.count == Self.headerLength else { continue }
      toSkip = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
      let stream = header[5...8].reduce(0) { $0 << 8 | Int32($1) }
      switch RawFrame.Kind(rawValue: header[3]) {
      case .data: if !started.contains(stream) { mistake = "DATA on a stream that we never started" }
      case .headers: started.insert(stream)
      case .priority, .resetStream, .settings, .ping, .goAway, .windowUpdate, .continuation: break
      default: mistake = "a frame of type \(header[3]) was sent"
      }
      header.removeAll(keepingCapacity: true)
    }
  }

  var isBetweenFrames: Bool { toSkip == 0 && header.isEmpty }
}

/// Stands where the socket is. Stalled, it keeps what is written, and says so above the channel's usual mark.
final class WatchedSocket: ChannelOutboundHandler {
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  static let highWaterMark = 64 << 10

  private let stalls: Bool
  private var flushesLeft: Int
  private var waiting: [EventLoopPromise<Void>] = []
  private(set) var waitingBytes = 0
  private(set) var bytes = 0
  private(set) var frames: FrameReader

  init(_ behaviour: HTTP2Behaviour, isClient: Bool) {
    stalls = behaviour.stalls
    frames = FrameReader(isClient: isClient)
    flushesLeft = behaviour.closesAtFlush == 0 ? .max : behaviour.closesAtFlush
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let buffer = unwrapOutboundIn(data)
    let count = buffer.readableBytes
    bytes += count
    buffer.withUnsafeReadableBytes { frames.read($0) }
    guard stalls else {
      // Written is as good as sent: nobody reads it, so nothing is to be kept.
      promise?.succeed()
      return
    }
    waitingBytes += count
    if let promise { waiting.append(promise) }
    guard waitingBytes > Self.highWaterMark, context.channel.isWritable else { return }
    (context.channel as? EmbeddedChannel)?.isWritable = false
    context.channel.pipeline.fireChannelWritabilityChanged()
  }

  func flush(context: ChannelHandlerContext) {
    flushesLeft -= 1
    if flushesLeft == 0 { context.close(promise: nil) }
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    for promise in waiting { promise.fail(ChannelError.ioOnClosedChannel) }
    waiting = []
  }
}
