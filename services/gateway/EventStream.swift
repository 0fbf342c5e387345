// Server-sent events (WHATWG HTML, section 9.2): a service's stream of messages, each as one frame, with a heartbeat,
// from where the reader left off; how many at once is bounded.
import FerryAPI
import HTTP2
import Hummingbird
import ProtoWire
import RPC
import ServiceKit
import ServiceLifecycle
import Synchronization

/// One event as it goes over the wire.
struct EventFrame: Sendable, Equatable {
  var id: Int64?
  var event: String
  var data: String

  /// A line that readers ignore: it keeps proxies from closing a quiet connection, and finds out that a reader is gone.
  static let heartbeat = ": \n\n"
  /// How long a browser waits before it reconnects, milliseconds.
  static let preamble = "retry: 2000\n\n"

  /// The data may hold line ends of any kind; each line is a field of its own. A name never holds one.
  var text: String {
    var text = ""
    if let id { text += "id: \(id)\n" }
    text += "event: \(event)\n"
    for line in data.split(omittingEmptySubsequences: false, whereSeparator: { ["\n", "\r", "\r\n"].contains($0) }) {
      text += "data: \(line)\n"
    }
    return text + "\n"
  }
}

/// The event streams that are open in this process.
final class EventStreams: Sendable {
  static let limit = connections * perConnection
  /// HTTP/2 connections to each service that carries events.
  static let connections = 2
  /// As many as a service lets a connection have open.
  static let perConnection = Int(HTTP2Configuration().maxConcurrentStreams)
  static let heartbeatEvery = Duration.seconds(15)

  /// The places that are free.
  private let free = Mutex(Array((0..<limit).reversed()))

  /// A place among the open streams; it is given back when the last reference goes.
  final class Place: Sendable {
    private let streams: EventStreams
    private let number: Int
    fileprivate init(_ streams: EventStreams, _ number: Int) { (self.streams, self.number) = (streams, number) }
    deinit { streams.free.withLock { $0.append(number) } }

    /// Which of the connections has room for it, from 0.
    var connection: Int { number / perConnection }
  }

  func enter() throws(ProblemDetails) -> Place {
    guard let number = free.withLock({ $0.popLast() }) else {
      throw ProblemDetails(
        503, "TOO_MANY_STREAMS", "\(Self.limit) event streams are open, which is as many as this gateway keeps.",
        next: "Close pages that you do not need, or try again in a moment.")
    }
    return Place(self, number)
  }

  /// Where to go on: the header that browsers send when they reconnect, else `after` in the query; nil from the start.
  static func lastEventID(_ call: RestCall) throws(ProblemDetails) -> Int64? {
    if let text = call.request.headers.value("last-event-id"), !text.isEmpty {
      guard let id = Int64(text), id >= 0 else {
        throw RestCall.bad("Last-Event-ID is not a number.", next: "Send the id of the last event that you read.")
      }
      return id
    }
    return call.query("after").isEmpty ? nil : try call.number("after", upTo: Int64.max)
  }

  /// The response that follows a service's stream until it ends, the reader goes, or the gateway shuts down.
  func response<M: Message>(
    _ call: RestCall, open: @escaping @Sendable (Place) async throws(RPCError) -> ResponseStream<M>,
    event: @escaping @Sendable (M) -> EventFrame
  ) throws(ProblemDetails) -> Response {
    let place = try enter()
    let request = call.request
    let trace = TraceContext.current
    let body = ResponseBody { writer in
      let slot = FrameSlot()
      let feeder = Task {
        await TraceContext.$current.withValue(trace) {
          await Self.feed(slot, open: { () async throws(RPCError) in try await open(place) }, event: event)
        }
      }
      defer {
        slot.finish()
        feeder.cancel()
        withExtendedLifetime(place) {}
      }
      try await writer.write(ByteBuffer(string: EventFrame.preamble))
      try await request.body.consumeWithInboundCloseHandler { _ in
        try await withGracefulShutdownHandler {
          while let frame = await slot.take() { try await writer.write(ByteBuffer(string: frame)) }
        } onGracefulShutdown: {
          slot.finish()
        }
      } onInboundClosed: {
        slot.finish()
      }
      try await writer.finish(nil)
    }
    return Response(
      status: .ok,
      headers: [.contentType: "text/event-stream", .cacheControl: "no-store", .connection: "close"], body: body)
  }

  /// Puts the service's messages into the slot, and a heartbeat where they leave a gap.
  private static func feed<M: Message>(
    _ slot: FrameSlot, open: @Sendable () async throws(RPCError) -> ResponseStream<M>,
    event: @Sendable (M) -> EventFrame
  ) async {
    let heart = Task {
      // Only a cancelled sleep throws, and then the stream is over.
      while (try? await Task.sleep(for: heartbeatEvery)) != nil { slot.offer(EventFrame.heartbeat) }
    }
    defer {
      heart.cancel()
      slot.finish()
    }
    do throws(RPCError) {
      for try await message in try await open() {
        guard await slot.put(event(message).text) else { return }
      }
    } catch {
      // The reader is told why, and reconnects from its last event.
      let problem = ProblemDetails(error)
      _ = await slot.put(EventFrame(event: "problem", data: problem.json).text)
    }
  }
}

/// One frame at a time from the service's stream to the reader's connection, so that a slow reader slows the service's
/// stream and nothing piles up here. One task puts, one takes.
final class FrameSlot: Sendable {
  private struct State {
    var frame: String?
    var taker: CheckedContinuation<String?, Never>?
    var putter: CheckedContinuation<Bool, Never>?
    var isFinished = false
  }
  private let state = Mutex(State())

  /// Waits until there is room, then leaves the frame. False once the reader is gone.
  func put(_ frame: String) async -> Bool {
    while true {
      if let left = offerOrFinish(frame) { return left }
      let goesOn = await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
        let now: Bool? = state.withLock { state in
          if state.isFinished { return false }
          if state.frame == nil { return true }
          state.putter = continuation
          return nil
        }
        if let now { continuation.resume(returning: now) }
      }
      if !goesOn { return false }
    }
  }

  /// Leaves the frame if there is room now; else drops it.
  func offer(_ frame: String) { _ = offerOrFinish(frame) }

  /// True: left. False: finished. Nil: no room.
  private func offerOrFinish(_ frame: String) -> Bool? {
    let (left, taker): (Bool?, CheckedContinuation<String?, Never>?) = state.withLock { state in
      if state.isFinished { return (false, nil) }
      if let taker = state.taker {
        state.taker = nil
        return (true, taker)
      }
      guard state.frame == nil else { return (nil, nil) }
      state.frame = frame
      return (true, nil)
    }
    taker?.resume(returning: frame)
    return left
  }

  /// The next frame; nil when the stream has ended and all of it is taken.
  func take() async -> String? {
    await withCheckedContinuation { (continuation: CheckedContinuation<String?, Never>) in
      let (ready, frame, putter): (Bool, String?, CheckedContinuation<Bool, Never>?) = state.withLock { state in
        if let frame = state.frame {
          defer { (state.frame, state.putter) = (nil, nil) }
          return (true, frame, state.putter)
        }
        if state.isFinished { return (true, nil, nil) }
        state.taker = continuation
        return (false, nil, nil)
      }
      putter?.resume(returning: true)
      if ready { continuation.resume(returning: frame) }
    }
  }

  /// Ends it from either side; a frame that is already in it can still be taken.
  func finish() {
    let (taker, putter) = state.withLock { state in
      state.isFinished = true
      defer { (state.taker, state.putter) = (nil, nil) }
      return (state.taker, state.putter)
    }
    taker?.resume(returning: nil)
    putter?.resume(returning: false)
  }
}

extension RestCall {
  /// Options of a stream: the caller's token, and no deadline: it ends with its reader.
  func streaming() -> CallOptions {
    var options = onward()
    options.deadline = nil
    return options
  }
}
