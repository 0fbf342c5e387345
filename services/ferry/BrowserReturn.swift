// Where a browser on this machine comes back to after a sign-in elsewhere: a listener on the loopback for one answer, the way
// that RFC 8252 section 7.3 has for programs of the command line.
import NIOCore
import NIOPosix
import RPC

final class BrowserReturn: Sendable {
  /// Bytes of a request's head, at most: the browser's own headers and a long code.
  static let maximumHead = 32 << 10
  /// Connections at once, at most: browsers open one or two on suspicion.
  static let backlog: Int32 = 8

  /// What to give the identity provider.
  let redirectURI: String
  private let channel: any Channel
  private let answer: EventLoopPromise<[String: String]>

  private init(_ channel: any Channel, _ answer: EventLoopPromise<[String: String]>) {
    (self.channel, self.answer) = (channel, answer)
    redirectURI = "http://127.0.0.1:\(channel.localAddress?.port ?? 0)/"
  }

  /// Listens on a free port.
  static func listen() async throws -> BrowserReturn {
    let group = MultiThreadedEventLoopGroup.singleton
    let answer = group.next().makePromise(of: [String: String].self)
    let channel = try await ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: backlog)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(ReturnHandler(answer))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    return BrowserReturn(channel, answer)
  }

  /// The parameters that the browser came back with.
  /// - Throws: DEADLINE_EXCEEDED if it does not come in time.
  func parameters(within time: Duration) async throws -> [String: String] {
    let answer = answer
    let timer = Task {
      // Cancelled once the browser is back.
      guard (try? await Task.sleep(for: time)) != nil else { return }
      answer.fail(RPCError(.deadlineExceeded, "No browser came back within \(time)."))
    }
    defer { timer.cancel() }
    return try await answer.futureResult.get()
  }

  func close() async {
    answer.fail(RPCError(.cancelled, "The listener was closed."))
    // It may be closed already.
    try? await channel.close()
  }

  /// "/?code=a%20b&state=c" as its parameters; nil if it is no answer of an identity provider.
  static func parameters(ofRequestLine line: some StringProtocol) -> [String: String]? {
    let words = line.split(separator: " ")
    guard words.count == 3, words[0] == "GET", words[1].hasPrefix("/?") else { return nil }
    var found: [String: String] = [:]
    for pair in words[1].dropFirst(2).split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = decode(parts[0]), let value = decode(parts.count > 1 ? parts[1] : "") else { return nil }
      found[name] = value
    }
    return found["state"] != nil && (found["code"] != nil || found["error"] != nil) ? found : nil
  }

  /// Undoes form encoding (WHATWG URL, application/x-www-form-urlencoded).
  private static func decode(_ text: some StringProtocol) -> String? {
    var bytes: [UInt8] = []
    var rest = Substring(text).utf8
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
      case UInt8(ascii: "%"):
        guard let value = UInt8(Substring(rest.prefix(2)), radix: 16), rest.count >= 2 else { return nil }
        bytes.append(value)
        rest.removeFirst(2)
      default: bytes.append(byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }
}

/// Reads one request's head and answers it. Confined to its channel's event loop.
private final class ReturnHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let answer: EventLoopPromise<[String: String]>
  private var head: [UInt8] = []
  private var isAnswered = false

  init(_ answer: EventLoopPromise<[String: String]>) { self.answer = answer }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    head += unwrapInboundIn(data).readableBytesView
    guard !isAnswered else { return }
    guard head.count <= BrowserReturn.maximumHead else { return context.close(promise: nil) }
    let text = String(decoding: head, as: UTF8.self)
    guard text.contains("\r\n\r\n") else { return }
    isAnswered = true
    let line = text.split(separator: "\r\n", maxSplits: 1).first ?? ""
    let parameters = BrowserReturn.parameters(ofRequestLine: line)
    let (status, words) =
      parameters == nil
      ? ("404 Not Found", "There is nothing here.")
      : ("200 OK", "FileFerry's command has what it needs. You can close this window.")
    let page = "<!doctype html><html lang=en><meta charset=utf-8><title>FileFerry</title><p>\(words)</p></html>"
    let response = """
      HTTP/1.1 \(status)\r
      Content-Type: text/html; charset=utf-8\r
      Content-Length: \(page.utf8.count)\r
      Content-Security-Policy: default-src 'none'\r
      Cache-Control: no-store\r
      Referrer-Policy: no-referrer\r
      Connection: close\r
      \r
      \(page)
      """
    let answer = answer
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: response))).whenComplete { _ in
      channel.close(promise: nil)
      if let parameters { answer.succeed(parameters) }
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
