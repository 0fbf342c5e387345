// A call with one answer: the caller is woken once, with all there is to know. What the answer's bytes mean is read by whoever
// knows its type: a call that is not generic asks the runtime for no types, which for a small call would cost a tenth.
import HTTP2
import NIOCore
import ProtoWire

/// The answer of a call that has one, with what came along.
public struct UnaryResponse<Response: Message>: Sendable {
  public var message: Response
  /// Whether the message came compressed.
  public var isCompressed: Bool
  let initialHeaders: HTTP2Headers
  let trailingHeaders: HTTP2Headers

  public var initialMetadata: Metadata { StatusWire.metadata(initialHeaders) }
  public var trailingMetadata: Metadata { StatusWire.metadata(trailingHeaders) }
}

/// The same before its message is decoded.
struct RawResponse: Sendable {
  var message: ByteBuffer
  var isCompressed: Bool
  var initialHeaders: HTTP2Headers
  var trailingHeaders: HTTP2Headers

  /// - Throws: `internal` if the message cannot be read.
  func decoded<R: Message>() throws(RPCError) -> UnaryResponse<R> {
    do throws(WireError) {
      return UnaryResponse(
        message: try R(decoding: message), isCompressed: isCompressed, initialHeaders: initialHeaders,
        trailingHeaders: trailingHeaders)
    } catch { throw RPCError(.internal, "the response could not be read: \(error)") }
  }
}

/// An attempt that did not end with OK, and how far it had come: that decides whether it may be made again.
struct AttemptFailure: Error {
  enum Stage { case notSent, notProcessed, sent, committed }

  var error: RPCError
  var stage: Stage
}

/// Confined to its connection's event loop, as `ClientCall` is.
final class UnaryCall: ClientCall, @unchecked Sendable {
  private var answer: ByteBuffer?
  private var isCompressed = false
  private var outcome: Result<RawResponse, AttemptFailure>?
  private var waiter: CheckedContinuation<Result<RawResponse, AttemptFailure>, Never>?

  override func received(_ message: UnsafeRawBufferPointer, wasCompressed: Bool) throws(RPCError) {
    guard answer == nil else {
      throw RPCError(.internal, "the server sent several messages where one was due", fromPeer: true)
    }
    answer = ByteBuffer(bytes: message)
    isCompressed = wasCompressed
  }

  override func ended(_ error: RPCError?) {
    let result: Result<RawResponse, AttemptFailure>
    if let error {
      result = .failure(AttemptFailure(error: error, stage: stage))
    } else if let answer {
      result = .success(
        RawResponse(
          message: answer, isCompressed: isCompressed, initialHeaders: initialHeaders ?? HTTP2Headers(),
          trailingHeaders: trailingHeaders))
    } else {
      let error = RPCError(.internal, "the server answered OK without a message", fromPeer: true)
      result = .failure(AttemptFailure(error: error, stage: .committed))
    }
    if let waiter {
      self.waiter = nil
      waiter.resume(returning: result)
    } else {
      outcome = result
    }
  }

  /// Sends a request that is framed already and waits for the answer, once. Cancelling the task cancels the call.
  func perform(_ headers: HTTP2Headers, framed: ByteBuffer) async -> Result<RawResponse, AttemptFailure> {
    await outcome { call in
      guard call.open(headers) else { return false }
      framed.withUnsafeReadableBytes { call.write(framed: $0) }
      call.endRequests()
      return true
    }
  }

  /// Waits for the answer of a call that is open already.
  func response() async -> Result<RawResponse, AttemptFailure> { await outcome { _ in true } }

  private func outcome(
    _ begin: @escaping @Sendable (UnaryCall) -> Bool
  ) async -> Result<RawResponse, AttemptFailure> {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        if loop.inEventLoop { wait(continuation, begin) } else { loop.execute { self.wait(continuation, begin) } }
      }
    } onCancel: {
      onLoop { $0.cancel(RPCError(.cancelled, "the call was cancelled")) }
    }
  }

  private func wait(
    _ continuation: CheckedContinuation<Result<RawResponse, AttemptFailure>, Never>,
    _ begin: (UnaryCall) -> Bool
  ) {
    if let outcome {
      // It ended, or was cancelled, before anybody waited.
      continuation.resume(returning: outcome)
    } else if begin(self) {
      waiter = continuation
    } else {
      let error = RPCError(.unavailable, "the connection takes no new calls")
      continuation.resume(returning: .failure(AttemptFailure(error: error, stage: .notSent)))
    }
  }
}
