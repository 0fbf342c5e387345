// Passes a call on to another server without decoding a message: the gateway's pass-through.
import NIOCore

enum Forwarding {
  static func relay(
    _ requests: MessageQueue, _ context: CallContext, _ call: ServerCall, to channel: ClientChannel
  ) async throws(RPCError) {
    let options = CallOptions(metadata: context.metadata.forwardable, deadline: context.deadline)
    let onward = try await channel.begin(context.path, options)
    let upload = Task {
      do throws(RPCError) {
        while let message = try await requests.next() {
          try await onward.send(framed: MessageFraming.framed(message.bytes))
        }
        onward.finishSending()
      } catch {
        onward.onLoop { $0.cancel(error) }
      }
    }
    defer {
      upload.cancel()
      onward.onLoop { $0.cancel(RPCError(.cancelled, "the caller has gone")) }
    }
    let initial = try await onward.initialMetadata()
    call.response.change { settings in
      for entry in initial.entries { settings.initial.add(entry.key, entry.value) }
    }
    while let message = try await onward.queue.next() {
      try await call.send(framed: MessageFraming.framed(message.bytes))
    }
    let trailing = onward.trailingMetadata
    call.response.change { settings in
      for entry in trailing.entries { settings.trailing.add(entry.key, entry.value) }
    }
  }
}

extension Metadata {
  /// What a caller said, less what belongs to its own connection.
  var forwardable: Metadata {
    var result = self
    for key in ["user-agent", "host", "connection"] { result.remove(key) }
    return result
  }
}
