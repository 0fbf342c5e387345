// The echo service on grpc-swift-2 and SwiftNIO, one event loop. Messages stay bytes, so that no codec weighs on it.
// `EchoServer PORT` prints {"port": N} once it listens on loopback.
import GRPCCore
import GRPCNIOTransportHTTP2
import Glibc
import NIOPosix

struct Bytes: MessageSerializer, MessageDeserializer {
  func serialize<Output: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Output { Output(message) }

  func deserialize<Input: GRPCContiguousBytes>(_ bytes: Input) throws -> [UInt8] { bytes.withUnsafeBytes { Array($0) } }
}

/// A varint of protobuf's wire format.
func varint(_ value: Int) -> [UInt8] {
  var bytes: [UInt8] = []
  var rest = value
  while rest > 0x7F {
    bytes.append(UInt8(rest & 0x7F) | 0x80)
    rest >>= 7
  }
  return bytes + [UInt8(rest)]
}

/// The varint fields of a message which has no others, by number.
func varintFields(of message: [UInt8]) -> [Int: Int] {
  var varints: [Int] = []
  var value = 0
  var shift = 0
  for byte in message where shift < 63 {
    value |= Int(byte & 0x7F) << shift
    shift += 7
    if byte & 0x80 == 0 {
      varints.append(value)
      (value, shift) = (0, 0)
    }
  }
  var fields: [Int: Int] = [:]
  for index in stride(from: 0, to: varints.count - 1, by: 2) { fields[varints[index] >> 3] = varints[index + 1] }
  return fields
}

struct Echo: RegistrableRPCService {
  func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
    router.registerHandler(
      forMethod: MethodDescriptor(fullyQualifiedService: "bench.Echo", method: "Say"),
      deserializer: Bytes(), serializer: Bytes()
    ) { request, _ in
      let message = try await ServerRequest(stream: request).message
      return StreamingServerResponse(single: ServerResponse(message: message))
    }
    router.registerHandler(
      forMethod: MethodDescriptor(fullyQualifiedService: "bench.Echo", method: "Feed"),
      deserializer: Bytes(), serializer: Bytes()
    ) { request, _ in
      let fields = varintFields(of: try await ServerRequest(stream: request).message)
      let (count, size) = (fields[1] ?? 0, fields[2] ?? 0)
      let message = [0x0A] + varint(size) + [UInt8](repeating: UInt8(ascii: "f"), count: size)
      return StreamingServerResponse { writer in
        for _ in 0..<count { try await writer.write(message) }
        return [:]
      }
    }
  }
}

guard CommandLine.arguments.count == 2, let port = Int(CommandLine.arguments[1]) else {
  print("usage: EchoServer PORT")
  throw RPCError(code: .invalidArgument, message: "a port is wanted")
}
let transport = HTTP2ServerTransport.Posix(
  address: .ipv4(host: "127.0.0.1", port: port), transportSecurity: .plaintext, config: .defaults,
  eventLoopGroup: MultiThreadedEventLoopGroup(numberOfThreads: 1))
let server = GRPCServer(transport: transport, services: [Echo()])
try await withThrowingTaskGroup(of: Void.self) { group in
  group.addTask { try await server.serve() }
  if let port = try await transport.listeningAddress.ipv4?.port {
    print("{\"port\": \(port)}")
    fflush(nil)
  }
  try await group.waitForAll()
}
