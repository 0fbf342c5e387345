// One exchange with a server over one libcurl easy handle: its buffers, its callbacks and its end. CurlLoop runs it on
// its thread; HTTPClient and SMTPClient say what to send. Knows bytes and lines, and neither HTTP statuses nor mail.
import CCurl
import Glibc
import NIOCore

/// What came back, before HTTP or SMTP makes sense of it.
struct CurlOutcome: Sendable {
  var replyCode: Int
  var lines: [String]  // header lines of the last answer, or SMTP replies
  var body: ByteBuffer
}

/// Options in libcurl's own words. Strings are copied by libcurl; lists are kept by the exchange.
enum CurlSetting: Sendable {
  case long(CURLoption, Int)
  case offset(CURLoption, Int64)
  case string(CURLoption, String)
  case list(CURLoption, [String])
  case unset(CURLoption)  // of a string
}

/// Confined to the loop's thread from `prepare` on, hence unchecked; `cancelled` and `id` belong to the loop's lock.
final class CurlExchange: @unchecked Sendable {
  /// Bytes of header lines an answer may have; libcurl bounds one line at 100 KiB.
  static let maxHeaderBytes = 256 * 1024
  /// SMTP replies kept for the error message.
  static let maxLines = 1024

  let hostKey: String  // "host:port": what the per-host bound counts and what errors name
  let settings: [CurlSetting]
  let upload: ByteBuffer?
  let maxResponseBytes: Int
  let expectedBytes: Int
  private let buffers: BufferPool?
  let timeout: Duration?
  let queuedAt = ContinuousClock.now
  private let completion: @Sendable (Result<CurlOutcome, TransportError>) -> Void

  var cancelled = false  // the loop's lock
  private(set) var easy: UnsafeMutableRawPointer?
  private var lists: [UnsafeMutablePointer<curl_slist>] = []
  private var errorText: UnsafeMutablePointer<CChar>?
  private var uploadOffset = 0
  private var body = ByteBuffer()
  private var lines: [String] = []
  private var headerBytes = 0
  private var overflow = false
  private var finished = false

  init(
    hostKey: String, settings: [CurlSetting], upload: ByteBuffer?, maxResponseBytes: Int, expectedBytes: Int,
    buffers: BufferPool? = nil, timeout: Duration?, completion: @escaping @Sendable (Result<CurlOutcome, TransportError>) -> Void
  ) {
    self.hostKey = hostKey
    self.settings = settings
    self.upload = upload
    self.maxResponseBytes = maxResponseBytes
    self.expectedBytes = expectedBytes
    self.buffers = buffers
    self.timeout = timeout
    self.completion = completion
  }

  deinit { freeHandles() }

  /// Makes the easy handle. Called once, on the loop's thread, when a place is free.
  func prepare() throws(TransportError) -> UnsafeMutableRawPointer {
    guard let handle = curl_easy_init() else {
      throw TransportError(
        .system, "Could not start an exchange with \(hostKey): out of memory.", nextStep: "Free memory and try again.",
        retryable: true)
    }
    easy = handle
    let text = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    text.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    errorText = text
    var code = ferry_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, text)
    let context = Unmanaged.passUnretained(self).toOpaque()  // the loop keeps the exchange while the handle lives
    for option in [CURLOPT_PRIVATE, CURLOPT_WRITEDATA, CURLOPT_HEADERDATA, CURLOPT_READDATA, CURLOPT_SEEKDATA]
    where code == CURLE_OK {
      code = ferry_curl_set_pointer(handle, option, context)
    }
    if code == CURLE_OK { code = installCallbacks(on: handle) }
    for setting in settings where code == CURLE_OK { code = apply(setting, to: handle) }
    if code == CURLE_OK, let timeout {
      let left = timeout - (ContinuousClock.now - queuedAt)
      code = ferry_curl_set_long(handle, CURLOPT_TIMEOUT_MS, max(1, left.wholeMilliseconds))
    }
    guard code == CURLE_OK else {
      throw TransportError(
        CurlFailure(code: code, detail: "", systemError: 0, replyCode: 0, reply: ""), host: hostKey)
    }
    return handle
  }

  private func apply(_ setting: CurlSetting, to handle: UnsafeMutableRawPointer) -> CURLcode {
    switch setting {
    case .long(let option, let value): return ferry_curl_set_long(handle, option, value)
    case .offset(let option, let value): return ferry_curl_set_offset(handle, option, curl_off_t(value))
    case .string(let option, let value): return ferry_curl_set_string(handle, option, value)
    case .unset(let option): return ferry_curl_set_string(handle, option, nil)
    case .list(let option, let values):
      var head: UnsafeMutablePointer<curl_slist>?
      for value in values {
        guard let longer = curl_slist_append(head, value) else {
          curl_slist_free_all(head)
          return CURLE_OUT_OF_MEMORY
        }
        head = longer
      }
      if let head { lists.append(head) }
      return ferry_curl_set_list(handle, option, head)
    }
  }

  private func installCallbacks(on handle: UnsafeMutableRawPointer) -> CURLcode {
    let codes = [
      ferry_curl_set_data_callback(handle, CURLOPT_WRITEFUNCTION) { data, size, count, context in
        CurlExchange.from(context)?.receive(data, size * count) ?? 0
      },
      ferry_curl_set_data_callback(handle, CURLOPT_HEADERFUNCTION) { data, size, count, context in
        CurlExchange.from(context)?.receiveLine(data, size * count) ?? 0
      },
      ferry_curl_set_data_callback(handle, CURLOPT_READFUNCTION) { data, size, count, context in
        CurlExchange.from(context)?.send(data, size * count) ?? 0
      },
      // libcurl rewinds the upload when a kept connection turns out dead and the request goes out again.
      ferry_curl_set_seek_callback(handle) { context, offset, origin in
        CurlExchange.from(context)?.seek(offset, origin) ?? CURL_SEEKFUNC_FAIL
      },
    ]
    return codes.first { $0 != CURLE_OK } ?? CURLE_OK
  }

  static func from(_ context: UnsafeMutableRawPointer?) -> CurlExchange? {
    context.map { Unmanaged<CurlExchange>.fromOpaque($0).takeUnretainedValue() }
  }

  private func receive(_ data: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
    guard let data, !goesOverBound(adding: count) else { return 0 }
    if body.capacity == 0 {
      let capacity = firstCapacity(atLeast: count)
      body = buffers?.take(capacity) ?? ByteBufferAllocator().buffer(capacity: capacity)
    }
    body.writeBytes(UnsafeRawBufferPointer(start: data, count: count))
    return count
  }

  private func goesOverBound(adding count: Int) -> Bool {
    if body.readableBytes + count > maxResponseBytes { overflow = true }
    return overflow
  }

  /// One allocation for the whole body where its length is known; the caller's bound holds against a lying server.
  private func firstCapacity(atLeast count: Int) -> Int {
    var announced: curl_off_t = -1
    if let easy, ferry_curl_get_offset(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced) != CURLE_OK {
      announced = -1
    }
    let wanted = announced >= 0 ? Int(announced) : expectedBytes
    return max(count, min(wanted, maxResponseBytes))
  }

  private func receiveLine(_ data: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
    guard let data else { return 0 }
    var bytes = UnsafeRawBufferPointer(start: data, count: count)[...]
    while let last = bytes.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") { bytes = bytes.dropLast() }
    guard !bytes.isEmpty else { return count }
    headerBytes += count
    if bytes.starts(with: "HTTP/".utf8) {  // a new answer: 100 Continue came before it, or a proxy's CONNECT
      lines.removeAll()
      headerBytes = count
    }
    guard headerBytes <= Self.maxHeaderBytes, lines.count < Self.maxLines else {
      overflow = true
      return 0
    }
    lines.append(String(decoding: bytes, as: UTF8.self))
    return count
  }

  private func send(_ data: UnsafeMutablePointer<CChar>?, _ count: Int) -> Int {
    guard let data, let upload else { return 0 }
    let length = min(count, upload.readableBytes - uploadOffset)
    guard length > 0 else { return 0 }
    upload.withUnsafeReadableBytes { bytes in
      UnsafeMutableRawBufferPointer(start: data, count: count)
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[uploadOffset..<uploadOffset + length]))
    }
    uploadOffset += length
    return length
  }

  private func seek(_ offset: curl_off_t, _ origin: Int32) -> Int32 {
    guard origin == SEEK_SET, let upload, offset >= 0, offset <= upload.readableBytes else { return CURL_SEEKFUNC_FAIL }
    uploadOffset = Int(offset)
    return CURL_SEEKFUNC_OK
  }

  /// The end as libcurl tells it. Called on the loop's thread after the handle has left the multi handle.
  func finish(_ code: CURLcode, isMail: Bool) {
    var reply = 0
    if let easy, ferry_curl_get_long(easy, CURLINFO_RESPONSE_CODE, &reply) != CURLE_OK { reply = 0 }
    if overflow {
      fail(
        TransportError(
          .tooLarge, "The answer of \(hostKey) is over the bound of \(maxResponseBytes) bytes.",
          nextStep: "Ask for less at a time.", curlCode: Int(code.rawValue)))
    } else if code == CURLE_OK {
      let outcome = CurlOutcome(replyCode: reply, lines: lines, body: body)
      body = ByteBuffer()  // whoever gets it is its only owner
      end(.success(outcome))
    } else {
      var systemError = 0
      if let easy, ferry_curl_get_long(easy, CURLINFO_OS_ERRNO, &systemError) != CURLE_OK { systemError = 0 }
      let failure = CurlFailure(
        code: code, detail: errorText.map { String(cString: $0) } ?? "", systemError: Int32(clamping: systemError),
        replyCode: isMail ? reply : 0, reply: isMail ? refusal : "")
      fail(TransportError(failure, host: hostKey))
    }
  }

  /// The last SMTP reply that says no; the one to libcurl's QUIT may follow it.
  private var refusal: String { lines.last { $0.hasPrefix("4") || $0.hasPrefix("5") } ?? "" }

  func fail(_ error: TransportError) { end(.failure(error)) }

  private func end(_ result: Result<CurlOutcome, TransportError>) {
    guard !finished else { return }
    finished = true
    freeHandles()
    completion(result)
  }

  private func freeHandles() {
    if let easy { curl_easy_cleanup(easy) }
    easy = nil
    for list in lists { curl_slist_free_all(list) }
    lists = []
    errorText?.deallocate()
    errorText = nil
  }
}

extension Duration {
  /// Rounded up, so that a short wait never becomes none.
  var wholeMilliseconds: Int {
    let (seconds, attoseconds) = components
    guard seconds < Int64.max / 2000 else { return Int.max / 2 }
    return Int(seconds) * 1000 + Int((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }
}
