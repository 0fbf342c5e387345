// The bridge from Swift's tasks to CurlLoop: one exchange, awaited and cancellable; and the options every exchange has.
import CCurl
import NIOCore
import Synchronization

extension CurlLoop {
  func run(
    hostKey: String, settings: [CurlSetting], upload: ByteBuffer?, maxResponseBytes: Int, expectedBytes: Int,
    buffers: BufferPool? = nil, timeout: Duration?
  ) async throws(TransportError) -> CurlOutcome {
    let slot = CurlExchangeSlot()
    let result: Result<CurlOutcome, TransportError> = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let exchange = CurlExchange(
          hostKey: hostKey, settings: settings, upload: upload, maxResponseBytes: maxResponseBytes,
          expectedBytes: expectedBytes, buffers: buffers, timeout: timeout, completion: { continuation.resume(returning: $0) })
        // The task may have been cancelled before there was an exchange to cancel.
        if slot.fill(with: exchange) { cancel(exchange) }
        submit(exchange)
      }
    } onCancel: {
      if let exchange = slot.cancel() { cancel(exchange) }
    }
    return try result.get()
  }
}

/// Where the cancellation handler finds the exchange; either may come first.
private final class CurlExchangeSlot: Sendable {
  private struct State {
    var exchange: CurlExchange?
    var cancelled = false
  }
  private let state = Mutex(State())

  func fill(with exchange: CurlExchange) -> Bool {
    state.withLock { state in
      state.exchange = exchange
      return state.cancelled
    }
  }

  func cancel() -> CurlExchange? {
    state.withLock { state in
      state.cancelled = true
      return state.exchange
    }
  }
}

extension CurlSetting {
  static func common(caFile: String?, connectTimeout: Duration) -> [CurlSetting] {
    var settings: [CurlSetting] = [
      .long(CURLOPT_NOSIGNAL, 1),  // no SIGALRM in a program with threads
      .long(CURLOPT_TCP_KEEPALIVE, 1),
      .long(CURLOPT_CONNECTTIMEOUT_MS, max(1, connectTimeout.wholeMilliseconds)),
      .long(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2)),
      .long(CURLOPT_SSL_VERIFYPEER, 1),
      .long(CURLOPT_SSL_VERIFYHOST, 2),
      .long(CURLOPT_FOLLOWLOCATION, 0),
      .long(CURLOPT_NETRC, 0),
    ]
    // One file of authorities: a directory beside it would be trusted as well, and keeps libcurl from caching the file.
    settings.append(.unset(CURLOPT_CAPATH))
    if let caFile { settings.append(.string(CURLOPT_CAINFO, caFile)) }
    return settings
  }
}
