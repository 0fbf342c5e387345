// The C side of a connection: making the nghttp2 session, and the callbacks through which it speaks. The session's pointer
// and the user data never leave these two files of HTTP2Connection.
import CNghttp2
import NIOCore

extension HTTP2Connection {
  /// Runs `body` with the connection behind a callback's user data. It lives as long as its session: `end` deletes the
  /// session first. So nothing has to be retained, which these callbacks, a dozen a call, would feel.
  private static func with(_ userData: UnsafeMutableRawPointer?, _ body: (HTTP2Connection) -> Int32) -> Int32 {
    guard let userData else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
    return Unmanaged<HTTP2Connection>.fromOpaque(userData)._withUnsafeGuaranteedRef(body)
  }

  /// The stream of an id. `streams` holds it until nghttp2 closes it, so it outlives nghttp2's pointer to it.
  private func find(_ id: Int32) -> Unmanaged<HTTP2Stream>? {
    if let recent, recent.id == id { return recent.stream }
    guard let session, let pointer = nghttp2_session_get_stream_user_data(session, id) else { return nil }
    let stream = Unmanaged<HTTP2Stream>.fromOpaque(pointer)
    recent = (id, stream)
    return stream
  }

  /// The same held, for what may close it.
  private func stream(_ id: Int32) -> HTTP2Stream? { find(id)?.takeUnretainedValue() }

  func openSession() {
    var callbacks: OpaquePointer?
    guard nghttp2_session_callbacks_new(&callbacks) == 0 else { return }
    defer { nghttp2_session_callbacks_del(callbacks) }
    Self.setReceiveCallbacks(callbacks)
    Self.setSendCallbacks(callbacks)

    var option: OpaquePointer?
    guard nghttp2_option_new(&option) == 0 else { return }
    defer { nghttp2_option_del(option) }
    nghttp2_option_set_no_auto_window_update(option, 1)
    // gRPC lets a metadata value come with spaces around it; RFC 9113 section 8.2.1 would have the whole request refused.
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1)
    nghttp2_option_set_max_outbound_ack(option, configuration.maxOutboundAcknowledgements)
    nghttp2_option_set_stream_reset_rate_limit(
      option, configuration.streamResetBurst, configuration.streamResetRate)
    // What may be sent of header fields is limited by the peer's SETTINGS and by our own bounds on metadata, not here.
    nghttp2_option_set_max_send_header_block_length(option, Self.maxSentHeaderBlock)

    let me = Unmanaged.passUnretained(self).toOpaque()
    // nghttp2 copies the table of functions; `memory` itself lives as long as the connection.
    var functions = memory.functions
    var made: OpaquePointer?
    let result =
      role == .server
      ? nghttp2_session_server_new3(&made, callbacks, me, option, &functions)
      : nghttp2_session_client_new3(&made, callbacks, me, option, &functions)
    guard result == 0, let made else { return }
    session = made

    var settings = [
      entry(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, UInt32(configuration.streamWindow)),
      entry(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, UInt32(configuration.maxHeaderListSize)),
      role == .server
        ? entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, configuration.maxConcurrentStreams)
        : entry(NGHTTP2_SETTINGS_ENABLE_PUSH, 0),
    ]
    nghttp2_submit_settings(made, UInt8(NGHTTP2_FLAG_NONE.rawValue), &settings, settings.count)
    nghttp2_session_set_local_window_size(made, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, configuration.connectionWindow)
  }

  private static let maxSentHeaderBlock = 1 << 20
  /// A header list this many times the limit ends the connection and not its stream alone: unpacking it costs our time.
  private static let headerBombFactor = 4

  private func entry(_ id: nghttp2_settings_id, _ value: UInt32) -> nghttp2_settings_entry {
    nghttp2_settings_entry(settings_id: Int32(bitPattern: id.rawValue), value: value)
  }

  private static func setReceiveCallbacks(_ callbacks: OpaquePointer?) {
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks) { _, header, userData in
      HTTP2Connection.with(userData) { me in
        if let header { me.began(header.pointee) }
        return me.callbackResult
      }
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, userData in
      HTTP2Connection.with(userData) { me in
        me.incoming.begin()
        if let frame, me.role == .server, frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST {
          me.accept(frame.pointee.hd.stream_id)
        }
        return 0
      }
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks) { _, _, name, nameLength, value, valueLength, _, userData in
      HTTP2Connection.with(userData) { me in
        me.receivedField(name, nameLength, value, valueLength)
      }
    }
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { session, _, id, data, length, userData in
      HTTP2Connection.with(userData) { me in
        // The connection's window is given back at once; a slow reader holds back its own stream alone.
        guard me.session != nil else { return me.callbackResult }
        nghttp2_session_consume_connection(session, length)
        guard let stream = me.stream(id), let listener = stream.delegate else {
          nghttp2_session_consume_stream(session, id, length)
          return 0
        }
        listener.stream(stream, receivedData: UnsafeRawBufferPointer(start: data, count: length))
        return me.callbackResult
      }
    }
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, userData in
      HTTP2Connection.with(userData) { me in
        if let frame { me.received(frame) }
        return me.callbackResult
      }
    }
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, _, _, userData in
      HTTP2Connection.with(userData) { me in
        me.times.frameIsOpen = false
        return 0
      }
    }
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, userData in
      HTTP2Connection.with(userData) { me in
        if let stream = me.stream(id) { me.closed(stream, error: HTTP2ErrorCode(rawValue: code)) }
        return me.isReading ? me.callbackResult : 0
      }
    }
  }

  private static func setSendCallbacks(_ callbacks: OpaquePointer?) {
    nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, _, frameHeader, length, source, userData in
      HTTP2Connection.with(userData) { me in
        guard let frameHeader, let pointer = source?.pointee.ptr else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
        Unmanaged<HTTP2Stream>.fromOpaque(pointer)._withUnsafeGuaranteedRef { stream in
          me.writeData(stream, frameHeader: frameHeader, count: length)
        }
        return 0
      }
    }
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, userData in
      HTTP2Connection.with(userData) { me in
        if let frame { me.sent(frame) }
        return 0
      }
    }
  }

  private func accept(_ id: Int32) {
    let stream = begin(id)
    add(stream)
    let unmanaged = Unmanaged.passUnretained(stream)
    nghttp2_session_set_stream_user_data(session, id, unmanaged.toOpaque())
    recent = (id, unmanaged)
  }

  private func receivedField(
    _ name: UnsafePointer<UInt8>?, _ nameLength: Int, _ value: UnsafePointer<UInt8>?, _ valueLength: Int
  ) -> Int32 {
    guard decodedHeaders == nil else { return 0 }
    let limit = configuration.maxHeaderListSize
    incoming.add(
      name: UnsafeRawBufferPointer(start: name, count: nameLength),
      value: UnsafeRawBufferPointer(start: value, count: valueLength), limit: limit)
    guard incoming.listSize > limit * Self.headerBombFactor else { return 0 }
    closeNow(.enhanceYourCalm, because: "the peer sent a header block of more than \(incoming.listSize) bytes")
    return callbackResult
  }

  private func sent(_ frame: UnsafePointer<nghttp2_frame>) {
    let header = frame.pointee.hd
    if header.type == NGHTTP2_RST_STREAM.rawValue {
      sentReset(HTTP2ErrorCode(rawValue: frame.pointee.rst_stream.error_code))
      return
    }
    let endStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    guard endStream, header.type == NGHTTP2_HEADERS.rawValue || header.type == NGHTTP2_DATA.rawValue else { return }
    // Submitting a frame closes no stream.
    find(header.stream_id)?._withUnsafeGuaranteedRef { stream in
      stream.sentEnd = true
      resetIfSent(stream)
    }
  }

  /// A frame's header has come.
  private func began(_ header: nghttp2_frame_hd) {
    times.frameIsOpen = header.type != NGHTTP2_DATA.rawValue
    guard role == .server, header.type == NGHTTP2_HEADERS.rawValue else { return }
    switch blocks.began(header.stream_id) {
    case .nghttp2: decodedHeaders = nil
    case .here(let headers): decodedHeaders = headers
    case .lost: closeNow(.internalError, because: "the header blocks of its requests could not be told apart")
    }
    if header.stream_id > skippedStreams.highest {
      skippedStreams.opened(header.stream_id)
    } else if skippedStreams.contains(header.stream_id) {
      closeNow(.protocolError, because: "the peer opened stream \(header.stream_id) after a later one")
    }
  }

  private func received(_ frame: UnsafePointer<nghttp2_frame>) {
    times.frameIsOpen = false
    let header = frame.pointee.hd
    let endStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    switch UInt32(header.type) {
    case NGHTTP2_HEADERS.rawValue:
      guard let stream = stream(header.stream_id) else { return }
      let isRequest = frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
      receivedHeaders(stream, isRequest: isRequest, endStream: endStream)
    case NGHTTP2_DATA.rawValue:
      if endStream { stream(header.stream_id)?.receivedEnd() } else if header.length == 0 { spendIdleFrame() }
    case NGHTTP2_SETTINGS.rawValue:
      guard header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0 else { return }
      spendIdleFrame()
      receivedSettings()
    case NGHTTP2_PING.rawValue:
      if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0 { spendIdleFrame() } else { receivedPong() }
    case NGHTTP2_PRIORITY.rawValue: spendIdleFrame()
    case NGHTTP2_GOAWAY.rawValue:
      receivedGoAway(HTTP2ErrorCode(rawValue: frame.pointee.goaway.error_code))
    default: break
    }
  }

  /// Resets that answer the peer's errors are as cheap for it as its own ("made you reset").
  private func sentReset(_ code: HTTP2ErrorCode) {
    guard role == .server, code != .noError, code != .cancel, !forcedResets.spend(now: times.lastHeard) else { return }
    closeNow(.enhanceYourCalm, because: "the peer made too many errors on its streams")
  }

  private func spendIdleFrame() {
    guard !idleFrames.spend(now: times.lastHeard) else { return }
    closeNow(.enhanceYourCalm, because: "the peer sent too many frames that carry nothing")
  }

  /// Where nghttp2 draws a stream's body from: it is told how much there is, and `writeData` then copies it once, straight
  /// into the connection's output. The stream is in `streams` until nghttp2 closes it, so it outlives its use.
  func dataProvider(_ stream: HTTP2Stream) -> nghttp2_data_provider {
    nghttp2_data_provider(
      source: nghttp2_data_source(ptr: Unmanaged.passUnretained(stream).toOpaque()),
      read_callback: { session, id, _, length, flags, source, _ in
        guard let pointer = source?.pointee.ptr, let flags else { return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }
        return Unmanaged<HTTP2Stream>.fromOpaque(pointer)._withUnsafeGuaranteedRef { stream in
          let waiting = stream.output.count
          let count = min(length, waiting)
          if count == waiting, stream.outputEnded {
            flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
            switch stream.trailers {
            case .none: break
            case .made(let headers):
              flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
              _ = headers.withNameValues { nghttp2_submit_trailer(session, id, $0.baseAddress, $0.count) }
            case .prepared(let headers):
              flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
              nghttp2_submit_trailer(session, id, headers.fields.baseAddress, headers.fields.count)
            }
          } else if count == 0 {
            stream.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
          }
          if count > 0 { flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue }
          return count
        }
      })
  }
}
