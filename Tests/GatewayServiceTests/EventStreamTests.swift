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
    #expect(EventFrame.heartbeat.hasPrefix(":") && EventFrame.heartbeat.hasSuffix("\n\n"))
  }

  @Test("frames come out in the order in which they went in, and the writer waits for the reader")
  func order() async {
    let slot = FrameSlot()
    let writer = Task {
      for number in 0..<1000 { guard await slot.put("\(number)") else { return false } }
      slot.finish()
      return true
    }
    var taken: [String] = []
    while let frame = await slot.take() { taken.append(frame) }
    #expect(taken == (0..<1000).map(String.init))
    #expect(await writer.value)
  }

  @Test("a heartbeat is dropped, and never queued, while a frame waits")
  func dropped() async {
    let slot = FrameSlot()
    #expect(await slot.put("event"))
    slot.offer("heartbeat")
    slot.finish()
    #expect(await slot.take() == "event")
    #expect(await slot.take() == nil)
  }

  @Test("a writer that waits is let go when the reader leaves")
  func readerLeaves() async {
    let slot = FrameSlot()
    #expect(await slot.put("first"))
    let waiting = Task { await slot.put("second") }
    slot.finish()
    #expect(await waiting.value == false)
    #expect(await slot.put("third") == false)
  }

  @Test("a reader that waits is let go when the stream ends")
  func streamEnds() async {
    let slot = FrameSlot()
    let waiting = Task { await slot.take() }
    slot.finish()
    #expect(await waiting.value == nil)
  }

  @Test("no more streams are open than the bound, and a closed one makes room")
  func bound() throws {
    let streams = EventStreams()
    var places: [EventStreams.Place] = []
    for _ in 0..<EventStreams.limit { places.append(try streams.enter()) }
    // None has more than it can carry.
    for connection in 0..<EventStreams.connections {
      #expect(places.count { $0.connection == connection } == EventStreams.perConnection)
    }
    #expect { _ = try streams.enter() } throws: { ($0 as? ProblemDetails)?.status == 503 }
    places.removeLast()
    _ = try streams.enter()
    places.removeAll()
    _ = try streams.enter()
  }
}
