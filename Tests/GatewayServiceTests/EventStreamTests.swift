// Server-sent events: frames that say what was meant, one slot that holds back a fast service, a bound on streams.
import Testing

@testable import GatewayService

@Suite struct EventStreamTests {
  @Test("a frame has its id, its name and its data, and ends with an empty line")
  func frame() {
    #expect(EventFrame(id: 7, event: "state", data: "{\"a\":1}").text == "id: 7\nevent: state\ndata: {\"a\":1}\n\n")
    #expect(EventFrame(event: "problem", data: "x").text == "event: problem\ndata: x\n\n")
  }

  @Test("line ends in the data, of any kind, cannot end the frame or start a field", arguments: ["\n", "\r", "\r\n"])
  func lines(end: String) {
    let frame = EventFrame(id: 1, event: "note", data: "one\(end)id: 99\(end)\(end)two")
    #expect(frame.text == "id: 1\nevent: note\ndata: one\ndata: id: 99\ndata: \ndata: two\n\n")
  }

  @Test("the heartbeat is a comment, which readers ignore")
  func heartbeat() {
    let text = String(buffer: EventFrame.heartbeat)
    #expect(text.hasPrefix(":") && text.hasSuffix("\n\n"))
  }

  @Test("no more readers than the bound, and one that goes makes room")
  func readers() throws {
    let streams = EventStreams()
    for _ in 0..<EventStreams.limit { try streams.enter() }
    #expect { try streams.enter() } throws: { ($0 as? ProblemDetails)?.status == 503 }
    streams.leave()
    try streams.enter()
    for _ in 0..<EventStreams.limit { streams.leave() }
  }

  @Test("no more watches than the bound, none on a connection that is full, and one that ends makes room")
  func places() throws {
    let streams = EventStreams()
    var places: [EventStreams.Place] = []
    for _ in 0..<EventStreams.limit { places.append(try streams.place()) }
    for connection in 0..<EventStreams.connections {
      #expect(places.count { $0.connection == connection } == EventStreams.perConnection)
    }
    #expect { _ = try streams.place() } throws: { ($0 as? ProblemDetails)?.status == 503 }
    places.removeLast()
    _ = try streams.place()
    places.removeAll()
    _ = try streams.place()
  }
}
