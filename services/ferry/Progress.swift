// Following a delivery: a bar that moves on a terminal, a line an event in a pipe, and the result at the end.
import ArgumentParser
import FerryAPI
import Glibc
import RPC

enum Progress {
  static let barWidth = 24
  /// Streams may break while a service restarts; so often in a row the watch is taken up again.
  static let maxReconnects = 60
  static let reconnectPause: Duration = .milliseconds(500)

  /// Shows the delivery until it has ended. Throws exit code 1 if it failed.
  static func follow(_ id: String, _ server: Server, json: Bool) async throws {
    var after: Int64 = 0
    var failures = 0
    var speed = Speed()
    while true {
      do {
        let events = try await Transfer.Client(server.channel).watchDelivery(
          .with {
            $0.id = id
            $0.afterSequence = after
          }, server.signedIn(timeout: nil))
        for try await event in events {
          failures = 0
          after = event.sequence
          show(event, &speed, json: json)
          if event.kind == .ended, try await isLast(event, id, server) { return try end(event, json: json) }
        }
        failures += 1
      } catch let error as RPCError where error.code == .unavailable || error.code == .unauthenticated {
        failures += 1
        guard failures <= maxReconnects else { throw error }
      }
      guard failures <= maxReconnects else {
        throw RPCError(.unavailable, "the progress of \(id) cannot be followed; it goes on without: see 'ferry status \(id)'")
      }
      try await Task.sleep(for: reconnectPause)
    }
  }

  /// False for an end of before a retry: the story goes on.
  private static func isLast(_ event: DeliveryEvent, _ id: String, _ server: Server) async throws -> Bool {
    let delivery = try await Transfer.Client(server.channel).getDelivery(.with { $0.id = id }, server.signedIn())
    return delivery.sequence <= event.sequence
  }

  private static func show(_ event: DeliveryEvent, _ speed: inout Speed, json: Bool) {
    if json {
      print(event.jsonString())
      Output.flush()
      return
    }
    guard let delivery = event.delivery else { return }
    let isTerminal = Printing.isTerminal
    if isTerminal { print("\r\u{1B}[K", terminator: "") }
    if event.kind != .progress, !event.message.isEmpty {
      print("\(Printing.time(event.time))  \(event.message)")
    }
    if isTerminal, event.kind != .ended { print(bar(delivery, &speed), terminator: "") }
    Output.flush()
  }

  private static func bar(_ delivery: Delivery, _ speed: inout Speed) -> String {
    let total = max(delivery.bytesTotal, 1)
    let share = min(1, Double(delivery.bytesDone) / Double(total))
    let filled = Int(share * Double(barWidth))
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: barWidth - filled)
    let active = delivery.states.first { $0.status == .active }.map { Printing.name($0.state) } ?? "waiting"
    let state = delivery.status == .paused ? "paused" : active
    let rate = delivery.status == .paused ? 0 : speed.update(delivery.bytesDone)
    var line = state.padding(to: 14) + " " + bar + " \(Int(share * 100))%"
    line += "  \(Printing.bytes(delivery.bytesDone)) of \(Printing.bytes(delivery.bytesTotal))"
    line += "  file \(delivery.filesDone) of \(delivery.filesTotal)"
    if rate > 0 {
      line += "  \(Printing.bytes(Int64(rate)))/s"
      line += "  \(Printing.duration(seconds: Double(delivery.bytesTotal - delivery.bytesDone) / rate)) left"
    }
    if delivery.retries > 0 { line += "  \(delivery.retries) retries" }
    return line
  }

  private static func end(_ event: DeliveryEvent, json: Bool) throws {
    guard let delivery = event.delivery else { return }
    if !json { summary(delivery) }
    if delivery.status != .succeeded { throw ExitCode(1) }
  }

  static func summary(_ delivery: Delivery) {
    let size = Printing.bytes(delivery.bytesDone)
    switch delivery.status {
    case .succeeded:
      let proof = delivery.request?.options?.proof == .size ? "their sizes compared" : "every byte proven"
      var line = "Delivered \(Printing.files(delivery.filesDone)), \(size), \(proof)"
      if let start = delivery.startedAt, let end = delivery.finishedAt {
        let seconds = Double(end.seconds - start.seconds) + Double(end.nanos - start.nanos) / 1e9
        line += ", in \(Printing.duration(seconds: seconds))"
      }
      print(line + ".")
      if delivery.hasReceipt { print("Receipt: ferry receipt \(delivery.id)") }
    case .failed, .cancelled:
      printError(delivery.problem?.message ?? "The delivery was \(Printing.name(delivery.status)).")
      if let next = delivery.problem?.nextStep, !next.isEmpty { printError("Next: \(next)") }
      if delivery.filesTotal > 0 { printError("\(delivery.filesDone) of \(Printing.files(delivery.filesTotal)) delivered.") }
    default:
      print("The delivery is \(Printing.name(delivery.status)).")
    }
  }
}

/// Bytes a second over the last few seconds.
struct Speed {
  private var samples: [(at: ContinuousClock.Instant, bytes: Int64)] = []
  private static let window: Duration = .seconds(5)
  private static let maxSamples = 64

  mutating func update(_ bytes: Int64, at now: ContinuousClock.Instant = .now) -> Double {
    samples.append((now, bytes))
    while samples.count > Self.maxSamples || (samples.count > 2 && samples[0].at.duration(to: now) > Self.window) {
      samples.removeFirst()
    }
    let parts = samples[0].at.duration(to: now).components
    let seconds = Double(parts.seconds) + Double(parts.attoseconds) / 1e18
    return seconds > 0.2 ? max(0, Double(bytes - samples[0].bytes) / seconds) : 0
  }
}

extension String {
  func padding(to width: Int) -> String { count >= width ? self : self + String(repeating: " ", count: width - count) }
}
