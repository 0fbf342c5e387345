// One libcurl easy handle in a multi handle of its own, which keeps one control connection alive: its options, its
// callbacks and what came of each exchange. Confined to FTPConnection's thread; says what happened and judges nothing.
import CCurl
import Glibc
import NIOCore

/// Where an upload's bytes come from. `fill` is called on the connection's thread, and may block it.
public protocol FTPSource: AnyObject, Sendable {
  /// - Parameter isOpen: false once the server has closed the data connection: nothing more will be taken.
  func fill(_ buffer: UnsafeMutableRawBufferPointer, isOpen: () -> Bool) -> FTPFill
  /// From any thread: ends a blocked `fill` and those that follow with `abort`.
  func interrupt()
}

public enum FTPFill: Sendable {
  case bytes(Int)
  case end
  case abort
}

/// Where a download's bytes go. `receive` is called on the connection's thread, and may block it.
public protocol FTPSink: AnyObject, Sendable {
  /// False ends the download at once, and the connection with it.
  func receive(_ bytes: UnsafeRawBufferPointer) -> Bool
  /// From any thread: ends a blocked `receive` and those that follow with false.
  func interrupt()
}

/// What came of one exchange.
struct FTPOutcome: Sendable {
  var code: CURLcode
  var detail: String  // CURLOPT_ERRORBUFFER
  var replies: FTPReplies
  var aborted: Bool

  var succeeded: Bool { code == CURLE_OK }

  /// libcurl's own word on TLS says more than a reply of before.
  var concernsTrust: Bool {
    [
      CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_PINNEDPUBKEYNOTMATCH, CURLE_SSL_CACERT_BADFILE, CURLE_USE_SSL_FAILED,
      CURLE_SSL_CONNECT_ERROR,
    ].contains(code)
  }
}

final class FTPHandle {
  /// The most that libcurl takes for either.
  static let uploadBufferBytes = 2 * 1024 * 1024
  static let downloadBufferBytes = 512 * 1024
  /// How long a lost upload's control connection may take to tell the reason.
  private static let lastWordMilliseconds: Int32 = 500
  private static let lastWordBytes = 4096
  /// POLLRDHUP of Linux, which Glibc's header shows to GNU C only.
  private static let peerClosed: Int16 = 0x2000
  /// SHUT_RDWR, which is hidden from files without CCurl as soon as one with it names it.
  private static let bothWays: Int32 = 2

  /// How late an exchange learns that it was aborted.
  private static let pollMilliseconds: Int32 = 250

  private let easy: UnsafeMutableRawPointer
  private let multi: UnsafeMutableRawPointer
  private let server: FTPServer
  private let isAborted: @Sendable () -> Bool
  private let errorText: UnsafeMutablePointer<CChar>
  private var lists: [UnsafeMutablePointer<curl_slist>] = []
  private var problem = CURLE_OK  // of an option

  private(set) var replies = FTPReplies()
  /// When each reply was complete.
  private(set) var replyTimes: [ContinuousClock.Instant] = []
  private var source: (any FTPSource)?
  private var sink: (any FTPSink)?
  private var sockets: [Int32] = []  // open ones, in the order they were made: control, then data

  /// Nil when out of memory.
  init?(_ server: FTPServer, isAborted: @escaping @Sendable () -> Bool) {
    guard FTPGlobal.ready, let easy = curl_easy_init() else { return nil }
    guard let multi = curl_multi_init() else {
      curl_easy_cleanup(easy)
      return nil
    }
    self.easy = easy
    self.multi = multi
    self.server = server
    self.isAborted = isAborted
    errorText = .allocate(capacity: Int(CURL_ERROR_SIZE))
    errorText.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    note(ferry_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, errorText))
    installCallbacks()
    applyServer()
    applyTLS()
  }

  deinit {
    source = nil
    sink = nil
    // What is left to say to the server is `quit`'s business: libcurl's own farewell may wait long for an answer.
    for socket in sockets { shutdown(socket, Self.bothWays) }
    curl_easy_cleanup(easy)
    curl_multi_cleanup(multi)
    freeLists()
    errorText.deallocate()
  }

  private func note(_ code: CURLcode) {
    if problem == CURLE_OK { problem = code }
  }

  private func set(_ option: CURLoption, _ value: Int) { note(ferry_curl_set_long(easy, option, value)) }
  private func set(_ option: CURLoption, _ value: String?) { note(ferry_curl_set_string(easy, option, value)) }

  // MARK: Options

  private func applyServer() {
    set(CURLOPT_NOSIGNAL, 1)  // no SIGALRM in a program with threads
    set(CURLOPT_PROTOCOLS_STR, "ftp,ftps")
    set(CURLOPT_PROXY, "")
    set(CURLOPT_NOPROXY, "*")
    set(CURLOPT_NETRC, 0)
    set(CURLOPT_PATH_AS_IS, 1)
    set(CURLOPT_TCP_KEEPALIVE, 1)
    _ = ferry_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, 1)
    set(CURLOPT_MAXAGE_CONN, 1_000_000)  // who uses the connection decides how long it is kept
    set(CURLOPT_USERNAME, server.user)
    set(CURLOPT_PASSWORD, server.password)
    set(CURLOPT_FTP_FILEMETHOD, Int(CURLFTPMETHOD_NOCWD.rawValue))
    set(CURLOPT_FTPPORT, server.active ? "-" : nil)
    set(CURLOPT_IGNORE_CONTENT_LENGTH, 1)  // no SIZE before RETR: the file may be growing
    set(CURLOPT_UPLOAD_BUFFERSIZE, Self.uploadBufferBytes)
    set(CURLOPT_BUFFERSIZE, Self.downloadBufferBytes)
    let timeouts = server.timeouts
    set(CURLOPT_CONNECTTIMEOUT_MS, max(1, (timeouts.connect + timeouts.handshake).wholeMilliseconds))
    set(CURLOPT_ACCEPTTIMEOUT_MS, max(1, timeouts.connect.wholeMilliseconds))
  }

  private func applyTLS() {
    guard server.security != .none else { return }
    set(CURLOPT_USE_SSL, Int(CURLUSESSL_ALL.rawValue))
    set(CURLOPT_FTPSSLAUTH, Int(CURLFTPAUTH_TLS.rawValue))
    // Tickets of TLS 1.3 are for one use each; libcurl doesn't take new ones from an upload's data connection, and the
    // third file fails where sessions have to be reused (curl issue 4654). TLS 1.2 sessions last.
    let most = server.allowsTLS13 ? 0 : Int(CURL_SSLVERSION_TLSv1_2) << 16
    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2) | most)
    // AES-GCM of 128 bits first: the fastest on every processor of today.
    set(CURLOPT_TLS13_CIPHERS, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256")
    set(
      CURLOPT_SSL_CIPHER_LIST,
      "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:AESGCM:HIGH:"
        + "!aNULL:!eNULL")
    set(CURLOPT_SSL_VERIFYPEER, server.trustsPinsOnly ? 0 : 1)
    set(CURLOPT_SSL_VERIFYHOST, server.trustsPinsOnly ? 0 : 2)
    // One file of authorities: a directory beside it would be trusted as well, and keeps libcurl from caching the file.
    set(CURLOPT_CAPATH, nil)
    if let pem = server.trustedCertificatesPEM {
      set(CURLOPT_CAINFO, nil)
      note(Array(pem.utf8).withUnsafeBytes { ferry_curl_set_blob(easy, CURLOPT_CAINFO_BLOB, $0.baseAddress, $0.count) })
    } else if server.trustsPinsOnly {
      set(CURLOPT_CAINFO, nil)
    }
    if !server.pinnedPublicKeys.isEmpty {
      set(CURLOPT_PINNEDPUBLICKEY, server.pinnedPublicKeys.joined(separator: ";"))
    }
  }

  private func setList(_ option: CURLoption, _ values: [String]) {
    var head: UnsafeMutablePointer<curl_slist>?
    for value in values {
      guard let longer = curl_slist_append(head, value) else {
        curl_slist_free_all(head)
        note(CURLE_OUT_OF_MEMORY)
        return
      }
      head = longer
    }
    if let head { lists.append(head) }
    note(ferry_curl_set_list(easy, option, head))
  }

  private func freeLists() {
    for list in lists { curl_slist_free_all(list) }
    lists = []
  }

  // MARK: Exchanges

  /// Sends the commands one after another, whatever the server says to each. "//" has libcurl send no CWD.
  func run(_ commands: [String], patience: Duration) -> FTPOutcome {
    prepare(path: "/", upload: false, noBody: true, patience: patience, watchSpeed: false)
    setList(CURLOPT_QUOTE, commands.map { "*" + $0 })
    return perform()
  }

  func upload(_ path: String, at offset: Int64, from source: any FTPSource) -> FTPOutcome {
    prepare(path: path, upload: true, noBody: false, patience: server.timeouts.io, watchSpeed: true)
    // libcurl's own resumption appends (APPE), wherever the file ends.
    if offset > 0 { setList(CURLOPT_PREQUOTE, ["REST \(offset)"]) }
    self.source = source
    defer { self.source = nil }
    return perform()
  }

  func retrieve(_ path: String, at offset: Int64, into sink: any FTPSink) -> FTPOutcome {
    prepare(path: path, upload: false, noBody: false, patience: server.timeouts.io, watchSpeed: true)
    if offset > 0 { setList(CURLOPT_PREQUOTE, ["REST \(offset)"]) }
    self.sink = sink
    defer { self.sink = nil }
    return perform()
  }

  /// A command whose answer comes over a data connection, in text mode.
  func list(_ command: String, into sink: any FTPSink) -> FTPOutcome {
    prepare(path: "", upload: false, noBody: false, patience: server.timeouts.io, watchSpeed: true)
    set(CURLOPT_CUSTOMREQUEST, command)
    self.sink = sink
    defer { self.sink = nil }
    return perform()
  }

  private func prepare(path: String, upload: Bool, noBody: Bool, patience: Duration, watchSpeed: Bool) {
    set(CURLOPT_URL, url(path))
    set(CURLOPT_NOBODY, 0)  // first: it would take back what the next two set
    set(CURLOPT_UPLOAD, upload ? 1 : 0)
    if noBody { set(CURLOPT_NOBODY, 1) }
    set(CURLOPT_CUSTOMREQUEST, nil)
    setList(CURLOPT_QUOTE, [])
    setList(CURLOPT_PREQUOTE, [])
    let seconds = max(1, (patience.wholeMilliseconds + 999) / 1000)
    set(CURLOPT_SERVER_RESPONSE_TIMEOUT, seconds)
    set(CURLOPT_LOW_SPEED_LIMIT, watchSpeed ? 1 : 0)
    set(CURLOPT_LOW_SPEED_TIME, watchSpeed ? seconds : 0)
  }

  /// Everything but letters, digits and "-._~/" is percent-encoded, so that no name means anything to libcurl.
  private func url(_ path: String) -> String {
    var text = server.security == .implicitTLS ? "ftps://" : "ftp://"
    text += server.endpoint.description + "/"
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in path.utf8 {
      if byte.isASCIIAlphanumeric || "-._~/".utf8.contains(byte) {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return text + String(decoding: bytes, as: UTF8.self)
  }

  private func perform() -> FTPOutcome {
    defer {
      _ = ferry_curl_set_list(easy, CURLOPT_QUOTE, nil)
      _ = ferry_curl_set_list(easy, CURLOPT_PREQUOTE, nil)
      freeLists()
      problem = CURLE_OK
    }
    replies = FTPReplies()
    replyTimes = []
    errorText.pointee = 0
    guard problem == CURLE_OK else {
      return FTPOutcome(code: problem, detail: "", replies: replies, aborted: false)
    }
    // OpenSSL writes to sockets without MSG_NOSIGNAL; a lost connection must not end the program.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGPIPE)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    let code = transfer()
    return FTPOutcome(
      code: code, detail: String(cString: errorText), replies: replies, aborted: isAborted() && code != CURLE_OK)
  }

  /// What curl_easy_perform does, but for one thing: when a reply comes at once, libcurl 7.88 may forget to begin with the
  /// data connection, or that it stands (TLS), and then sleeps with nothing to wait for. After a reply it is called again:
  /// at once, after a millisecond, after two, and so on.
  private func transfer() -> CURLcode {
    guard curl_multi_add_handle(multi, easy) == CURLM_OK else { return CURLE_OUT_OF_MEMORY }
    defer { curl_multi_remove_handle(multi, easy) }
    var pause: Int32 = 0
    while true {
      let heard = replies.all.count
      var running: Int32 = 0
      guard curl_multi_perform(multi, &running) == CURLM_OK else { return CURLE_OUT_OF_MEMORY }
      var left: Int32 = 0
      while let message = curl_multi_info_read(multi, &left) {
        let result = ferry_curl_message_result(message)
        if result >= 0 { return CURLcode(rawValue: UInt32(result)) }
      }
      if running == 0 { return CURLE_FAILED_INIT }
      if replies.all.count > heard { pause = 0 }
      var ready: Int32 = 0
      curl_multi_poll(multi, nil, 0, pause, &ready)
      if ready == 0 { pause = min(max(1, pause * 2), Self.pollMilliseconds) }
    }
  }

  // MARK: What is known of the connection

  func microseconds(_ info: CURLINFO) -> Int64 {
    var value: curl_off_t = 0
    return ferry_curl_get_offset(easy, info, &value) == CURLE_OK ? Int64(value) : 0
  }

  func text(_ info: CURLINFO) -> String? {
    var value: UnsafeMutableRawPointer?
    guard ferry_curl_get_pointer(easy, info, &value) == CURLE_OK, let value else { return nil }
    return String(cString: value.assumingMemoryBound(to: CChar.self))
  }

  /// Certificates cost time on every data connection; only the first handshake is looked at.
  func keepCertificates(_ keep: Bool) { set(CURLOPT_CERTINFO, keep ? 1 : 0) }

  /// The server's own certificate as name and value lines ("Subject:CN = h"), after `keepCertificates`.
  func certificateLines() -> [String] {
    var value: UnsafeMutableRawPointer?
    guard ferry_curl_get_pointer(easy, CURLINFO_CERTINFO, &value) == CURLE_OK, let value else { return [] }
    let info = value.assumingMemoryBound(to: curl_certinfo.self).pointee
    guard info.num_of_certs > 0, let first = info.certinfo?[0] else { return [] }
    var lines: [String] = []
    var node: UnsafeMutablePointer<curl_slist>? = first
    while let entry = node {
      if let data = entry.pointee.data { lines.append(String(cString: data)) }
      node = entry.pointee.next
    }
    return lines
  }

  /// Nothing waits to be read on a control connection at rest but an end, or a farewell such as "421 Timeout.".
  var isQuiet: Bool {
    guard let control = sockets.first else { return false }
    var entry = pollfd(fd: control, events: Int16(POLLIN) | Self.peerClosed, revents: 0)
    return poll(&entry, 1, 0) == 0
  }

  // MARK: Callbacks

  private static func from(_ context: UnsafeMutableRawPointer?) -> FTPHandle? {
    context.map { Unmanaged<FTPHandle>.fromOpaque($0).takeUnretainedValue() }
  }

  private func installCallbacks() {
    let context = Unmanaged.passUnretained(self).toOpaque()  // the handle is freed with this object
    for option in [
      CURLOPT_WRITEDATA, CURLOPT_HEADERDATA, CURLOPT_READDATA, CURLOPT_XFERINFODATA, CURLOPT_SOCKOPTDATA,
      CURLOPT_CLOSESOCKETDATA,
    ] { note(ferry_curl_set_pointer(easy, option, context)) }
    note(ferry_curl_set_data_callback(easy, CURLOPT_WRITEFUNCTION) { data, size, count, context in
      guard let handle = FTPHandle.from(context), let data else { return 0 }
      let bytes = UnsafeRawBufferPointer(start: data, count: size * count)
      return handle.sink?.receive(bytes) ?? true ? bytes.count : 0
    })
    note(ferry_curl_set_data_callback(easy, CURLOPT_READFUNCTION) { data, size, count, context in
      guard let handle = FTPHandle.from(context), let data else { return Int(CURL_READFUNC_ABORT) }
      return handle.fill(UnsafeMutableRawBufferPointer(start: data, count: size * count))
    })
    note(ferry_curl_set_data_callback(easy, CURLOPT_HEADERFUNCTION) { data, size, count, context in
      if let handle = FTPHandle.from(context), let data {
        handle.heard(UnsafeRawBufferPointer(start: data, count: size * count))
      }
      return size * count
    })
    set(CURLOPT_NOPROGRESS, 0)
    note(ferry_curl_set_progress_callback(easy) { context, _, _, _, _ in
      FTPHandle.from(context)?.isAborted() ?? true ? 1 : 0
    })
    note(ferry_curl_set_socket_callback(easy) { context, socket, _ in
      FTPHandle.from(context)?.sockets.append(socket)
      return CURL_SOCKOPT_OK
    })
    note(ferry_curl_set_close_callback(easy) { context, socket in
      FTPHandle.from(context)?.closing(socket)
      return close(socket)
    })
  }

  private func fill(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
    guard let source else { return 0 }
    let data = sockets.count > 1 ? sockets.last : nil
    let fill = source.fill(buffer) {
      guard let data else { return true }
      var entry = pollfd(fd: data, events: FTPHandle.peerClosed, revents: 0)
      return poll(&entry, 1, 0) == 0
    }
    switch fill {
    case .bytes(let count): return count
    case .end: return 0
    case .abort: return Int(CURL_READFUNC_ABORT)
    }
  }

  private func heard(_ line: UnsafeRawBufferPointer) {
    let before = replies.all.count
    replies.add(line: line)
    if replies.all.count > before { replyTimes.append(.now) }
  }

  /// libcurl drops the control connection when an upload's data connection breaks, and with it the server's reason for
  /// breaking it. On a plain connection the reason can still be read.
  private func closing(_ socket: Int32) {
    if socket == sockets.first, source != nil, server.security == .none, !isAborted(), replies.refusal == nil {
      var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
      if poll(&entry, 1, Self.lastWordMilliseconds) == 1 {
        var bytes = [UInt8](repeating: 0, count: Self.lastWordBytes)
        let count = recv(socket, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        if count > 0 { replies.add(text: bytes.prefix(count)) }
      }
    }
    sockets.removeAll { $0 == socket }
  }
}

/// curl_global_init counts its callers and is safe from any thread since 7.84; it is not undone.
private enum FTPGlobal {
  static let ready = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK
}
