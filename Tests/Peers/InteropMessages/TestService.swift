// gRPC's test service: its methods, and handlers that do what "gRPC Interop Test Case Descriptions" asks of a server.
import ProtoWire
import RPC

public enum TestService {
  public static let name = "grpc.testing.TestService"
  public static let emptyCall = UnaryMethod<Empty, Empty>(name, "EmptyCall")
  public static let unaryCall = UnaryMethod<SimpleRequest, SimpleResponse>(name, "UnaryCall")
  public static let streamingOutputCall =
    ServerStreamingMethod<StreamingOutputCallRequest, StreamingOutputCallResponse>(name, "StreamingOutputCall")
  public static let streamingInputCall =
    ClientStreamingMethod<StreamingInputCallRequest, StreamingInputCallResponse>(name, "StreamingInputCall")
  public static let fullDuplexCall =
    BidirectionalMethod<StreamingOutputCallRequest, StreamingOutputCallResponse>(name, "FullDuplexCall")
  public static let unimplementedCall = UnaryMethod<Empty, Empty>(name, "UnimplementedCall")

  public static let file = FileDescriptor(
    "grpc/testing/test.proto", package: "grpc.testing",
    messages: [
      Empty.descriptor, BoolValue.descriptor, Payload.descriptor, EchoStatus.descriptor, SimpleRequest.descriptor,
      SimpleResponse.descriptor, StreamingInputCallRequest.descriptor, StreamingInputCallResponse.descriptor,
      ResponseParameters.descriptor, StreamingOutputCallRequest.descriptor, StreamingOutputCallResponse.descriptor,
    ],
    enums: [PayloadType.descriptor],
    services: [
      ServiceDescriptor(
        name,
        [
          emptyCall.descriptor, unaryCall.descriptor, streamingOutputCall.descriptor, streamingInputCall.descriptor,
          fullDuplexCall.descriptor, unimplementedCall.descriptor,
        ])
    ])

  /// Bytes of payload that a caller may ask for.
  static let maxPayload: Int32 = 64 << 20

  public static func register(in router: inout Router) {
    router.handle(emptyCall) { (_: Empty, context: CallContext) async throws(RPCError) -> Empty in
      echoMetadata(context)
      return Empty()
    }
    router.handle(unaryCall) {
      (request: SimpleRequest, context: CallContext) async throws(RPCError) -> SimpleResponse in
      try expect(request.expectCompressed, context.requestIsCompressed)
      if let isCompressed = request.responseCompressed {
        context.setResponseCompression(.gzip)
        context.setCompressesResponse(isCompressed.value)
      }
      echoMetadata(context)
      try echo(request.responseStatus)
      let body = try payload(request.responseSize).get()
      return .with { $0.payload = body }
    }
    router.handle(streamingOutputCall) {
      (
        request: StreamingOutputCallRequest, context: CallContext,
        responses: ResponseWriter<StreamingOutputCallResponse>
      ) async throws(RPCError) in
      if request.responseParameters.contains(where: { $0.compressed != nil }) { context.setResponseCompression(.gzip) }
      echoMetadata(context)
      try await answer(request, responses)
    }
    router.handle(streamingInputCall) {
      (requests: RequestStream<StreamingInputCallRequest>, _: CallContext) async throws(RPCError)
        -> StreamingInputCallResponse in
      var total = 0
      let iterator = requests.makeAsyncIterator()
      while let request = try await iterator.next() {
        try expect(request.expectCompressed, iterator.lastMessageWasCompressed)
        total += request.payload?.body.count ?? 0
      }
      return .with { $0.aggregatedPayloadSize = Int32(truncatingIfNeeded: total) }
    }
    router.handle(fullDuplexCall) {
      (
        requests: RequestStream<StreamingOutputCallRequest>, context: CallContext,
        responses: ResponseWriter<StreamingOutputCallResponse>
      ) async throws(RPCError) in
      echoMetadata(context)
      let iterator = requests.makeAsyncIterator()
      while let request = try await iterator.next() { try await answer(request, responses) }
    }
  }

  private static func answer(
    _ request: StreamingOutputCallRequest, _ responses: ResponseWriter<StreamingOutputCallResponse>
  ) async throws(RPCError) {
    try echo(request.responseStatus)
    for parameters in request.responseParameters {
      if parameters.intervalUS > 0 {
        do { try await Task.sleep(for: .microseconds(parameters.intervalUS)) } catch {
          throw RPCError(.cancelled, "the call was cancelled")
        }
      }
      let body = try payload(parameters.size).get()
      try await responses.send(.with { $0.payload = body }, compress: parameters.compressed?.value ?? false)
    }
  }

  private static func expect(_ compressed: BoolValue?, _ isCompressed: Bool) throws(RPCError) {
    guard let compressed, compressed.value != isCompressed else { return }
    throw RPCError(
      .invalidArgument, "a message that should be \(compressed.value ? "compressed" : "uncompressed") is not")
  }

  private static func payload(_ size: Int32) -> Result<Payload, RPCError> {
    guard size >= 0, size <= maxPayload else {
      return .failure(RPCError(.invalidArgument, "a payload of \(size) bytes is not to be had"))
    }
    return .success(.with { $0.body = [UInt8](repeating: 0, count: Int(size)) })
  }

  private static func echo(_ status: EchoStatus?) throws(RPCError) {
    guard let status, status.code != 0 else { return }
    throw RPCError(StatusCode(rawValue: UInt32(truncatingIfNeeded: status.code)), status.message)
  }

  private static func echoMetadata(_ context: CallContext) {
    if let value = context.header("x-grpc-test-echo-initial") {
      context.setInitialMetadata("x-grpc-test-echo-initial", value)
    }
    if let value = context.header("x-grpc-test-echo-trailing-bin") {
      context.setTrailer("x-grpc-test-echo-trailing-bin", value)
    }
  }
}
