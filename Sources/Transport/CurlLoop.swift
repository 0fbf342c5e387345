// One libcurl multi handle on one thread of its own, made at the first exchange so that an idle service pays nothing.
// It bounds what is in flight, in all and per host, and queues the rest; what an exchange means is its client's affair.
import CCurl
import Glibc
import Synchronization

struct CurlLoopLimits: Sendable {
  var maxInFlight: Int
  var maxPerHost: Int
  var maxQueued: Int
}

final class CurlLoop: Sendable {
  /// How late a queued exchange may learn that its time is up.
  private static let queuePollMilliseconds: Int32 = 500
  /// How long the thread sleeps when nothing waits; libcurl's own timers and a wake-up end it sooner.
  private static let idlePollMilliseconds: Int32 = 60_000

  private struct Inbox {
    var submitted: [CurlExchange] = []
    var cancelled: [CurlExchange] = []
    var waiting = 0  // submitted and not yet ended, in flight ones included
    var stopped = false
    var running = false
    var multi: MultiHandle?
  }

  private let limits: CurlLoopLimits
  private let isMail: Bool
  private let inbox = Mutex(Inbox())

  init(limits: CurlLoopLimits, isMail: Bool) {
    self.limits = limits
    self.isMail = isMail
  }

  /// Ends in exactly one call of the exchange's completion, on the loop's thread or, where it can't start, on this one.
  func submit(_ exchange: CurlExchange) {
    let problem: TransportError? = inbox.withLock { inbox in
      if inbox.stopped { return Self.shutDown(exchange) }
      if exchange.cancelled { return Self.cancelled(exchange) }
      if inbox.waiting >= limits.maxInFlight + limits.maxQueued {
        return TransportError(
          .overloaded,
          "Did not ask \(exchange.hostKey): \(inbox.waiting) exchanges already wait.",
          nextStep: "Try again when some have ended.", retryable: true)
      }
      if !inbox.running, let error = start(&inbox, for: exchange) { return error }
      inbox.waiting += 1
      inbox.submitted.append(exchange)
      inbox.multi?.wakeUp()
      return nil
    }
    if let problem { exchange.fail(problem) }
  }

  /// May come before `submit`, during, or after the end.
  func cancel(_ exchange: CurlExchange) {
    inbox.withLock { inbox in
      exchange.cancelled = true
      guard inbox.running else { return }
      inbox.cancelled.append(exchange)
      inbox.multi?.wakeUp()
    }
  }

  /// Fails what is under way and ends the thread; later exchanges are refused. Returns at once.
  func shutdown() {
    inbox.withLock { inbox in
      inbox.stopped = true
      inbox.multi?.wakeUp()
    }
  }

  private static func shutDown(_ exchange: CurlExchange) -> TransportError {
    TransportError(
      .cancelled, "Did not finish with \(exchange.hostKey): this program is shutting down.",
      nextStep: "Ask again when it runs again.")
  }

  private static func brokenDown(_ exchange: CurlExchange) -> TransportError {
    TransportError(
      .system, "Lost the exchange with \(exchange.hostKey): this machine is out of memory or sockets.",
      nextStep: "Free some and try again.", retryable: true)
  }

  private static func cancelled(_ exchange: CurlExchange) -> TransportError {
    TransportError(
      .cancelled, "The exchange with \(exchange.hostKey) was cancelled.", nextStep: "Ask again if it is still wanted.")
  }

  // MARK: - Thread

  private func start(_ inbox: inout Inbox, for exchange: CurlExchange) -> TransportError? {
    let noRoom = TransportError(
      .system, "Could not start the thread that talks to \(exchange.hostKey).",
      nextStep: "Free memory and try again.", retryable: true)
    guard CurlGlobal.ready, let multi = MultiHandle(maxConnections: limits.maxInFlight) else { return noRoom }
    let body = Unmanaged.passRetained(ThreadBody { self.run(multi) })
    var thread = pthread_t()
    let code = pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        let body = Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue()
        // OpenSSL writes to sockets without MSG_NOSIGNAL; a lost connection must not end the program.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        body.run()
        return nil
      }, body.toOpaque())
    guard code == 0 else {
      body.release()
      return noRoom
    }
    pthread_detach(thread)
    inbox.running = true
    inbox.multi = multi
    return nil
  }

  private func run(_ multi: MultiHandle) {
    var schedule = CurlSchedule(limits: limits)
    while true {
      let (submitted, cancelled, stopped) = inbox.withLock { inbox in
        defer { (inbox.submitted, inbox.cancelled) = ([], []) }
        return (inbox.submitted, inbox.cancelled, inbox.stopped)
      }
      schedule.enqueue(submitted)
      if stopped { break }
      for exchange in cancelled where schedule.remove(exchange) { end(exchange, multi, Self.cancelled(exchange)) }
      for exchange in schedule.expired() { end(exchange, multi, Self.timedOutInQueue(exchange)) }
      startDue(&schedule, multi)
      if !multi.perform() {
        for exchange in schedule.takeRunning() { end(exchange, multi, Self.brokenDown(exchange)) }
      }
      var finished = 0
      while let (exchange, code) = multi.nextFinished() {
        _ = schedule.remove(exchange)
        multi.remove(exchange)
        left()
        exchange.finish(code, isMail: isMail)
        finished += 1
      }
      if finished == 0 {
        multi.poll(milliseconds: schedule.isWaiting ? Self.queuePollMilliseconds : Self.idlePollMilliseconds)
      }
    }
    // Whoever submits from here on sees `stopped`; the handle is freed only when nobody can wake it any more.
    let late = inbox.withLock { inbox in
      inbox.running = false
      inbox.multi = nil
      return inbox.submitted
    }
    for exchange in schedule.all + late { end(exchange, multi, Self.shutDown(exchange)) }
    multi.close()
  }

  private func startDue(_ schedule: inout CurlSchedule, _ multi: MultiHandle) {
    while let exchange = schedule.nextDue() {
      do throws(TransportError) {
        let easy = try exchange.prepare()
        guard multi.add(easy) else {
          throw TransportError(
            .system, "Could not start the exchange with \(exchange.hostKey).",
            nextStep: "Free memory and try again.", retryable: true)
        }
      } catch {
        _ = schedule.remove(exchange)
        end(exchange, multi, error)
      }
    }
  }

  private func end(_ exchange: CurlExchange, _ multi: MultiHandle, _ error: TransportError) {
    multi.remove(exchange)
    left()
    exchange.fail(error)
  }

  private func left() { inbox.withLock { $0.waiting -= 1 } }

  private static func timedOutInQueue(_ exchange: CurlExchange) -> TransportError {
    TransportError(
      .timeout, "Timed out waiting for a free connection to \(exchange.hostKey).",
      nextStep: "Try again when fewer exchanges run.", retryable: true)
  }
}

private final class ThreadBody: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

/// curl_global_init must run once, before any other call, and is not undone: other clients may still be at work.
private enum CurlGlobal {
  static let ready = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK
}
