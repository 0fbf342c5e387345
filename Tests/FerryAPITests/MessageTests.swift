// What holds for the messages, services and errors of fileferry.v1. Their codecs as such are held against protoc's
// Python classes by Tests/Peers/test_codecs.py.
import FerryAPI
import ProtoWire
import RPC
import Testing

@Suite("fileferry.v1")
struct MessageTests {
  static let delivery = Delivery.with {
    $0.id = "dlv_1"
    $0.request = .with {
      $0.environment = .prod
      $0.source = .with { $0.selections = [.with { $0.kind = .prefix; $0.value = "Größe/" }] }
    }
    $0.states = [.with { $0.done = .max; $0.startedAt = Timestamp(seconds: -1, nanos: 999_999_999) }]
    $0.problem = .with { $0.retryable = true }
    $0.bytesTotal = -1
    $0.status = DeliveryStatus(rawValue: -3)
  }

  @Test("bytes cut off anywhere are refused, or are a whole message up to there")
  func truncation() throws {
    let bytes = Self.delivery.encodedBytes()
    #expect(try Delivery(decoding: bytes) == Self.delivery)
    for length in 0..<bytes.count {
      let cut = Array(bytes[..<length])
      do throws(WireError) {
        #expect(try Delivery(decoding: cut).encodedBytes() == cut)
      } catch { #expect(error == .truncated) }
    }
  }

  @Test("roles are read packed and one by one")
  func packed() throws {
    let user = try User(decoding: [0x18, 0x01, 0x1A, 0x02, 0x02, 0x03, 0x18, 0x2A])
    #expect(user.roles == [.requester, .approver, .operator, Role(rawValue: 42)])
    #expect(user.encodedBytes() == [0x1A, 0x04, 0x01, 0x02, 0x03, 0x2A])
  }

  @Test("an absent field, an empty one and one with content are three things in an update")
  func presence() throws {
    let request = UpdateUserRequest.with { $0.name = ""; $0.disabled = false }
    let read = try UpdateUserRequest(decoding: request.encodedBytes())
    #expect(read.name == "" && read.disabled == false && read.email == nil && read.password == nil)
  }

  @Test("a message without fields keeps what a newer sender put into it")
  func empty() throws {
    let bytes: [UInt8] = [0x0A, 0x01, 0x78]
    #expect(try WhoAmIRequest(decoding: bytes).encodedBytes() == bytes)
    #expect(WhoAmIRequest().encodedBytes().isEmpty)
  }

  @Test("a field of a newer sender passes through a message that holds it")
  func unknownInside() throws {
    var bytes = Ticket.with { $0.number = "REQ1" }.encodedBytes()
    bytes += [0xC0, 0x3E, 0x07]  // 1000: 7
    let pair = try TicketPair(decoding: [0x12, UInt8(bytes.count)] + bytes)
    #expect(pair.user?.number == "REQ1")
    #expect(pair.encodedBytes() == [0x12, UInt8(bytes.count)] + bytes)
  }

  @Test("each file lists its own declarations under its own package, and imports only files before it")
  func files() {
    var seen: Set<String> = [WellKnownFiles.timestamp.name]
    for file in FerryFiles.all {
      #expect(file.package == "fileferry.v1")
      #expect(file.dependencies.allSatisfy { seen.contains($0.name) })
      let names = file.messages.map(\.fullName) + file.enums.map(\.fullName) + file.services.map(\.fullName)
      #expect(names.allSatisfy { $0.hasPrefix("fileferry.v1.") && seen.insert($0).inserted })
      seen.insert(file.name)
    }
  }

  @Test("methods are at the paths that gRPC clients call")
  func paths() {
    #expect(Ticketing.openTickets.path == "/fileferry.v1.Ticketing/OpenTickets")
    #expect(Transfer.watchDelivery.path == "/fileferry.v1.Transfer/WatchDelivery")
    #expect(Transfer.watchDelivery.descriptor.serverStreaming && !Transfer.watchDelivery.descriptor.clientStreaming)
    #expect(Transfer.service.methods.count == 23)
  }

  @Test("a problem travels in an error and comes out as it was")
  func problems() throws {
    let problem = Problem.with {
      $0.code = "HOST_KEY_CHANGED"
      $0.message = "The server shows another key."
      $0.nextStep = "Ask its operator."
      $0.time = Timestamp(seconds: 5)
    }
    let error = RPCError(.failedPrecondition, problem)
    #expect(error.code == .failedPrecondition && error.message == problem.message)
    #expect(error.problem == problem)
    #expect(error.details.first?.typeURL == "type.googleapis.com/fileferry.v1.Problem")
    #expect(RPCError(.internal, "no details").problem == nil)
    #expect(RPCError(.internal, "of another type", details: [StatusDetail(Person())]).problem == nil)
    let malformed = StatusDetail(typeURL: "type.googleapis.com/fileferry.v1.Problem", value: [0x0A, 0x05])
    #expect(RPCError(.internal, "cut off", details: [malformed, StatusDetail(problem)]).problem == problem)
  }
}
