// The multi handle's owner, and the schedule that says which exchange starts next. Both live on CurlLoop's thread; only
// curl_multi_wakeup may be called from another, which is what it is for.
import CCurl

/// Unchecked: every call but `wakeUp` is made on the loop's thread, and the loop drops its reference under its lock
/// before `close` frees the handle.
final class MultiHandle: @unchecked Sendable {
  private let multi: UnsafeMutableRawPointer

  /// nil when out of memory.
  init?(maxConnections: Int) {
    guard let multi = curl_multi_init() else { return nil }
    self.multi = multi
    // Connections kept open for the next exchange. An older library without an option still works with its default.
    _ = ferry_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, maxConnections)
    _ = ferry_curl_multi_set_long(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING)
  }

  func add(_ easy: UnsafeMutableRawPointer) -> Bool { curl_multi_add_handle(multi, easy) == CURLM_OK }

  func remove(_ exchange: CurlExchange) {
    // An exchange that never started has no handle; one that was not added is ignored by libcurl.
    if let easy = exchange.easy { curl_multi_remove_handle(multi, easy) }
  }

  /// False when the multi handle itself failed (out of memory or descriptors): what was in flight won't end by itself.
  func perform() -> Bool {
    var running: Int32 = 0
    return curl_multi_perform(multi, &running) == CURLM_OK
  }

  func nextFinished() -> (CurlExchange, CURLcode)? {
    var left: Int32 = 0
    while let message = curl_multi_info_read(multi, &left) {
      let result = ferry_curl_message_result(message)
      var context: UnsafeMutableRawPointer?
      guard result >= 0, let easy = message.pointee.easy_handle,
        ferry_curl_get_pointer(easy, CURLINFO_PRIVATE, &context) == CURLE_OK, let exchange = CurlExchange.from(context)
      else { continue }
      return (exchange, CURLcode(rawValue: UInt32(result)))
    }
    return nil
  }

  func poll(milliseconds: Int32) { curl_multi_poll(multi, nil, 0, milliseconds, nil) }

  func wakeUp() { curl_multi_wakeup(multi) }

  func close() { curl_multi_cleanup(multi) }
}

/// Which exchanges run and which wait: first come, first served, except that a busy host holds up nobody else.
/// libcurl could hold back by host too, but its connect timeout would then run for those that wait.
struct CurlSchedule {
  private let limits: CurlLoopLimits
  private var queue: [CurlExchange] = []
  private var inFlight: [ObjectIdentifier: CurlExchange] = [:]
  private var perHost: [String: Int] = [:]

  init(limits: CurlLoopLimits) { self.limits = limits }

  var all: [CurlExchange] { queue + inFlight.values }

  var isWaiting: Bool { !queue.isEmpty }

  mutating func takeRunning() -> [CurlExchange] {
    defer { (inFlight, perHost) = ([:], [:]) }
    return Array(inFlight.values)
  }

  mutating func enqueue(_ exchanges: [CurlExchange]) { queue += exchanges }

  mutating func nextDue() -> CurlExchange? {
    guard inFlight.count < limits.maxInFlight,
      let index = queue.firstIndex(where: { perHost[$0.hostKey, default: 0] < limits.maxPerHost })
    else { return nil }
    let exchange = queue.remove(at: index)
    inFlight[ObjectIdentifier(exchange)] = exchange
    perHost[exchange.hostKey, default: 0] += 1
    return exchange
  }

  /// Takes an exchange out, waiting or running; false if it had already ended.
  mutating func remove(_ exchange: CurlExchange) -> Bool {
    if inFlight.removeValue(forKey: ObjectIdentifier(exchange)) != nil {
      let left = perHost[exchange.hostKey, default: 1] - 1
      perHost[exchange.hostKey] = left > 0 ? left : nil
      return true
    }
    guard let index = queue.firstIndex(where: { $0 === exchange }) else { return false }
    queue.remove(at: index)
    return true
  }

  /// Takes out those whose whole time was spent waiting.
  mutating func expired() -> [CurlExchange] {
    guard !queue.isEmpty else { return [] }
    let now = ContinuousClock.now
    let late = queue.filter { exchange in exchange.timeout.map { now - exchange.queuedAt >= $0 } ?? false }
    if !late.isEmpty { queue.removeAll { exchange in late.contains { $0 === exchange } } }
    return late
  }
}
