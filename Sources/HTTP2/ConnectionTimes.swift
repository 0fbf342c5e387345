// What a connection does because time passes: handshakes and frames that never end, keepalive, idleness and age. One timer
// of the event loop serves all of it and the deadlines of the calls: it is set for the earliest moment of interest and
// never moved back, because most moments move on before they come.
import CNghttp2
import NIOCore

struct ConnectionTimes {
  var began = NIODeadline.now()
  var lastHeard = NIODeadline.now()
  var isReady = false
  /// A frame other than DATA has begun and is not whole.
  var frameIsOpen = false
  fileprivate var frameOpenSince: NIODeadline?
  fileprivate var pingSentAt: NIODeadline?
  fileprivate var idleSince: NIODeadline?
  fileprivate var maxAge: TimeAmount?
  fileprivate var agedAt: NIODeadline?
  fileprivate var wakesAt = NIODeadline.distantFuture
  fileprivate var timer: Scheduled<Void>?

  mutating func stop() {
    timer?.cancel()
    timer = nil
    wakesAt = .distantFuture
  }
}

extension HTTP2Connection {
  /// Asks for `connection(_:timeIs:)` no later than this.
  public func wake(at moment: NIODeadline) {
    guard moment < times.wakesAt, let context else { return }
    times.timer?.cancel()
    times.wakesAt = moment
    times.timer = context.eventLoop.scheduleTask(deadline: moment) { [self] in tick() }
  }

  private func tick() {
    times.timer = nil
    times.wakesAt = .distantFuture
    guard session != nil else { return }
    let now = NIODeadline.now()
    var next = delegate?.connection(self, timeIs: now) ?? .distantFuture
    for check in [checkHandshake, checkFrame, checkKeepalive, checkIdle, checkAge] {
      next = min(next, check(now))
      guard session != nil else { return }
    }
    wake(at: next)
  }

  func startTimes() {
    times.began = .now()
    times.lastHeard = times.began
    wake(at: times.began + TimeAmount(clamping: configuration.headerTimeout))
    if let age = configuration.maxAge {
      // A tenth more or less, so that connections made together do not all come back together (gRFC A9).
      let spread = TimeAmount(clamping: age * Double.random(in: 0.9...1.1))
      times.maxAge = spread
      wake(at: times.began + spread)
    }
    becameIdle()
  }

  func receivedSettings() {
    guard !times.isReady else { return }
    times.isReady = true
    delegate?.connectionReady(self)
  }

  private func checkHandshake(_ now: NIODeadline) -> NIODeadline {
    guard !times.isReady else { return .distantFuture }
    let due = times.began + TimeAmount(clamping: configuration.headerTimeout)
    if now < due { return due }
    closeNow(.protocolError, because: "no HTTP/2 SETTINGS came within \(configuration.headerTimeout)")
    return .distantFuture
  }

  /// At a read's end: a frame that is not whole must become so in time.
  func watchOpenFrame() {
    guard times.frameIsOpen else {
      times.frameOpenSince = nil
      return
    }
    guard times.frameOpenSince == nil else { return }
    times.frameOpenSince = times.lastHeard
    wake(at: times.lastHeard + TimeAmount(clamping: configuration.headerTimeout))
  }

  private func checkFrame(_ now: NIODeadline) -> NIODeadline {
    guard let since = times.frameOpenSince else { return .distantFuture }
    let due = since + TimeAmount(clamping: configuration.headerTimeout)
    if now < due { return due }
    closeNow(.enhanceYourCalm, because: "a frame was not complete within \(configuration.headerTimeout)")
    return .distantFuture
  }

  // MARK: Keepalive

  func startKeepalive() {
    times.idleSince = nil
    if let time = configuration.keepaliveTime { wake(at: times.lastHeard + TimeAmount(clamping: time)) }
  }

  func receivedPong() { times.pingSentAt = nil }

  private func checkKeepalive(_ now: NIODeadline) -> NIODeadline {
    guard let time = configuration.keepaliveTime, openStreams > 0 || configuration.keepaliveWithoutStreams else {
      times.pingSentAt = nil
      return .distantFuture
    }
    if let pinged = times.pingSentAt {
      let due = pinged + TimeAmount(clamping: configuration.keepaliveTimeout)
      // Anything that was heard since is as good as the answer.
      if times.lastHeard > pinged { times.pingSentAt = nil } else if now < due { return due } else {
        closeNow(because: "the peer did not answer a keepalive PING within \(configuration.keepaliveTimeout)")
        return .distantFuture
      }
    }
    let due = times.lastHeard + TimeAmount(clamping: time)
    if now < due { return due }
    times.pingSentAt = now
    nghttp2_submit_ping(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
    drain()
    return now + TimeAmount(clamping: configuration.keepaliveTimeout)
  }

  // MARK: Idleness and age

  func becameIdle() {
    if let idle = configuration.maxIdle {
      let now = NIODeadline.now()
      times.idleSince = now
      wake(at: now + TimeAmount(clamping: idle))
    }
    if configuration.keepaliveWithoutStreams, let time = configuration.keepaliveTime {
      wake(at: times.lastHeard + TimeAmount(clamping: time))
    }
  }

  private func checkIdle(_ now: NIODeadline) -> NIODeadline {
    guard let idle = configuration.maxIdle, let since = times.idleSince, openStreams == 0, !isGoingAway else {
      return .distantFuture
    }
    let due = since + TimeAmount(clamping: idle)
    if now < due { return due }
    drainAndClose()
    return .distantFuture
  }

  private func checkAge(_ now: NIODeadline) -> NIODeadline {
    if let aged = times.agedAt {
      guard let grace = configuration.maxAgeGrace else { return .distantFuture }
      let due = aged + TimeAmount(clamping: grace)
      if now < due { return due }
      closeNow(because: "the connection outlived its age and the grace that follows")
      return .distantFuture
    }
    guard let age = times.maxAge else { return .distantFuture }
    let due = times.began + age
    if now < due { return due }
    times.agedAt = now
    drainAndClose()
    return configuration.maxAgeGrace.map { now + TimeAmount(clamping: $0) } ?? .distantFuture
  }
}
