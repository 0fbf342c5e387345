// The names of the cases, and what each is run by. What a case asks for is written where it is implemented.
import ArgumentParser
import RPC

enum InteropCase: String, CaseIterable, ExpressibleByArgument {
  case emptyUnary = "empty_unary"
  case largeUnary = "large_unary"
  case clientStreaming = "client_streaming"
  case serverStreaming = "server_streaming"
  case pingPong = "ping_pong"
  case emptyStream = "empty_stream"
  case clientCompressedUnary = "client_compressed_unary"
  case clientCompressedStreaming = "client_compressed_streaming"
  case serverCompressedUnary = "server_compressed_unary"
  case serverCompressedStreaming = "server_compressed_streaming"
  case customMetadata = "custom_metadata"
  case statusCodeAndMessage = "status_code_and_message"
  case specialStatusMessage = "special_status_message"
  case unimplementedMethod = "unimplemented_method"
  case unimplementedService = "unimplemented_service"
  case cancelAfterBegin = "cancel_after_begin"
  case cancelAfterFirstResponse = "cancel_after_first_response"
  case timeoutOnSleepingServer = "timeout_on_sleeping_server"
  case rpcSoak = "rpc_soak"
  case channelSoak = "channel_soak"

  func run(_ channel: ClientChannel, _ peer: Peer) async throws {
    switch self {
    case .emptyUnary: try await Calls.emptyUnary(channel)
    case .largeUnary: try await Calls.largeUnary(channel)
    case .clientStreaming: try await Calls.clientStreaming(channel)
    case .serverStreaming: try await Calls.serverStreaming(channel)
    case .pingPong: try await Calls.pingPong(channel)
    case .emptyStream: try await Calls.emptyStream(channel)
    case .clientCompressedUnary: try await Compression.clientUnary(channel)
    case .clientCompressedStreaming: try await Compression.clientStreaming(channel)
    case .serverCompressedUnary: try await Compression.serverUnary(channel)
    case .serverCompressedStreaming: try await Compression.serverStreaming(channel)
    case .customMetadata: try await Outcomes.customMetadata(channel)
    case .statusCodeAndMessage: try await Outcomes.statusCodeAndMessage(channel)
    case .specialStatusMessage: try await Outcomes.specialStatusMessage(channel)
    case .unimplementedMethod: try await Outcomes.unimplementedMethod(channel)
    case .unimplementedService: try await Outcomes.unimplementedService(channel)
    case .cancelAfterBegin: try await Endings.cancelAfterBegin(channel)
    case .cancelAfterFirstResponse: try await Endings.cancelAfterFirstResponse(channel)
    case .timeoutOnSleepingServer: try await Endings.timeoutOnSleepingServer(channel)
    case .rpcSoak: try await Soak.rpc(channel, peer.iterations)
    case .channelSoak: try await Soak.channel(peer)
    }
  }
}
