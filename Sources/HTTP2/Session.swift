// The C side of a connection: making the nghttp2 session, and the callbacks through which it speaks. The session's pointer
// and the user data never leave these two files of HTTP2Connection.
import CNghttp2
import Glibc
import NIOCore

extension HTTP2Connection {
  /// The connection behind a callback's user data. It lives as long as its session: `end` deletes the session first.
  private static func of(_ userData: UnsafeMutableRawPointer?) -> HTTP2Connection? {
    userData.map { Unmanaged<HTTP2Connection>.fromOpaque($0).takeUnretainedValue() }
  }

  func openSession() {
    var callbacks: OpaquePointer?
    guard nghttp2_session_callbacks_new(&callbacks) == 0 else { return }
    defer { nghttp2_session_callbacks_del(callbacks) }
    Self.setReceiveCallbacks(callbacks)

    var option: OpaquePointer?
    guard nghttp2_option_new(&option) == 0 else { return }
    defer { nghttp2_option_del(option) }
    nghttp2_option_set_no_auto_window_update(option, 1)
    nghttp2_option_set_no_closed_streams(option, 1)
    // gRPC lets a metadata value come with spaces around it; RFC 9113 section 8.2.1 would have the whole request refused.
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1)
    nghttp2_option_set_max_outbound_ack(option, configuration.maxOutboundAcknowledgements)
    nghttp2_option_set_stream_reset_rate_limit(
      option, configuration.streamResetBurst, configuration.streamResetRate)

    let me = Unmanaged.passUnretained(self).toOpaque()
    var made: OpaquePointer?
    let result =
      role == .server
      ? nghttp2_session_server_new2(&made, callbacks, me, option)
      : nghttp2_session_client_new2(&made, callbacks, me, option)
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

  private func entry(_ id: nghttp2_settings_id, _ value: UInt32) -> nghttp2_settings_entry {
    nghttp2_settings_entry(settings_id: Int32(bitPattern: id.rawValue), value: value)
  }

  private static func setReceiveCallbacks(_ callbacks: OpaquePointer?) {
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, userData in
      guard let me = HTTP2Connection.of(userData), let frame else { return 0 }
      let id = frame.pointee.hd.stream_id
      if me.streams[id] == nil, me.role == .server {
        me.streams[id] = HTTP2Stream(connection: me, id: id)
      }
      return 0
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks) { _, frame, name, nameLength, value, valueLength, _, userData in
      guard let me = HTTP2Connection.of(userData), let frame, let stream = me.streams[frame.pointee.hd.stream_id] else {
        return 0
      }
      // Counting goes on, keeping stops: HPACK's state must stay in step whatever the peer sends.
      guard stream.incoming.listSize + nameLength + valueLength + 32 <= me.configuration.maxHeaderListSize else {
        stream.headersTooLarge = true
        return 0
      }
      stream.incoming.add(
        name: UnsafeBufferPointer(start: name, count: nameLength),
        value: UnsafeBufferPointer(start: value, count: valueLength))
      return 0
    }
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { session, _, id, data, length, userData in
      guard let me = HTTP2Connection.of(userData) else { return 0 }
      // The connection's window is given back at once; a slow reader holds back its own stream alone.
      nghttp2_session_consume_connection(session, length)
      guard let stream = me.streams[id], let listener = stream.delegate else {
        nghttp2_session_consume_stream(session, id, length)
        return 0
      }
      listener.stream(stream, receivedData: UnsafeRawBufferPointer(start: data, count: length))
      return 0
    }
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, userData in
      guard let me = HTTP2Connection.of(userData), let frame else { return 0 }
      me.received(frame)
      return 0
    }
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks) { _, frame, userData in
      guard let me = HTTP2Connection.of(userData), let header = frame?.pointee.hd else { return 0 }
      let endStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
      guard endStream, header.type == NGHTTP2_HEADERS.rawValue || header.type == NGHTTP2_DATA.rawValue else { return 0 }
      if let stream = me.streams[header.stream_id] {
        stream.sentEnd = true
        me.resetIfSent(stream)
      }
      return 0
    }
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, userData in
      HTTP2Connection.of(userData)?.sessionClosedStream(id, error: HTTP2ErrorCode(rawValue: code))
      return 0
    }
  }

  private func received(_ frame: UnsafePointer<nghttp2_frame>) {
    let header = frame.pointee.hd
    let endStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
    switch UInt32(header.type) {
    case NGHTTP2_HEADERS.rawValue:
      guard let stream = streams[header.stream_id] else { return }
      let isRequest = frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
      sessionReceivedHeaders(stream, isRequest: isRequest, endStream: endStream)
    case NGHTTP2_DATA.rawValue:
      if endStream, let stream = streams[header.stream_id] { sessionReceivedEnd(stream) }
    case NGHTTP2_SETTINGS.rawValue:
      if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0 { sessionReceivedSettings() }
    case NGHTTP2_GOAWAY.rawValue:
      sessionReceivedGoAway(HTTP2ErrorCode(rawValue: frame.pointee.goaway.error_code))
    default: break
    }
  }

  /// Where nghttp2 draws a stream's body from. The stream is in `streams` until nghttp2 closes it, so it outlives its use.
  func dataProvider(_ stream: HTTP2Stream) -> nghttp2_data_provider {
    nghttp2_data_provider(
      source: nghttp2_data_source(ptr: Unmanaged.passUnretained(stream).toOpaque()),
      read_callback: { session, id, buffer, length, flags, source, _ in
        guard let pointer = source?.pointee.ptr, let buffer, let flags else {
          return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
        }
        let stream = Unmanaged<HTTP2Stream>.fromOpaque(pointer).takeUnretainedValue()
        let count = min(length, stream.output.readableBytes)
        if count > 0 {
          stream.output.readWithUnsafeReadableBytes { bytes in
            if let start = bytes.baseAddress { memcpy(buffer, start, count) }
            return count
          }
          if stream.output.readableBytes == 0 {
            stream.output.clear()
            if !stream.outputEnded { stream.delegate?.streamDrained(stream) }
          }
        }
        guard stream.output.readableBytes == 0, stream.outputEnded else {
          if count == 0 {
            stream.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
          }
          return count
        }
        flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
        if let trailers = stream.trailers {
          flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
          _ = trailers.withNameValues { nghttp2_submit_trailer(session, id, $0.baseAddress, $0.count) }
        }
        return count
      })
  }
}

extension HTTP2Headers {
  /// The fields as nghttp2 takes them. It copies names and values, so the memory is free again after `body`.
  func withNameValues<R>(_ body: (UnsafeBufferPointer<nghttp2_nv>) -> R) -> R {
    storage.withUnsafeBufferPointer { bytes in
      withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: max(1, fields.count)) { pairs in
        // nghttp2 reads through these pointers only; its struct has no const for them.
        let base = UnsafeMutablePointer(mutating: bytes.baseAddress)
        for (index, field) in fields.enumerated() {
          let start = Int(field.nameStart)
          pairs[index] = nghttp2_nv(
            name: base.map { $0 + start }, value: base.map { $0 + start + Int(field.nameLength) },
            namelen: Int(field.nameLength), valuelen: Int(field.valueLength),
            flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
        }
        return body(UnsafeBufferPointer(rebasing: pairs[0..<fields.count]))
      }
    }
  }
}
