// Passes a call on to another server without decoding a message: the gateway's pass-through.
import NIOCore

enum Forwarding {
  static func relay(
    _ requests: MessageQueue, _ context: CallContext, _ call: ServerCall, to channel: ClientChannel
  ) async throws(RPCError) {
    let options = CallOptions(metadata: context.metadata.forwardable, deadline: context.deadline)
    let onward = try await channel.begin(context.path, options, first: nil)
    let upload = Task {
      do throws(RPCError) {
        while let message = try await requests.next() {
          try await onward.send(framed: MessageFraming.framed(message))
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
    while let message = try await onward.queue.next() {
      try await call.send(framed: MessageFraming.framed(message))
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
