// What people are told when a delivery has ended: delivered, delivered in part, failed, or cancelled; with the figures,
// the tickets, and for a failure what went wrong and what to do next.
import FerryAPI

struct CompletionWords {
  let title: String
  let body: String

  /// Nil for a delivery that has not ended.
  init?(_ delivery: Delivery) {
    guard let ending = Ending(delivery) else { return nil }
    let destination = DestinationWords(delivery)
    let place = destination.short.isEmpty ? "" : " to \(destination.short)"
    let delivered = "\(Measures.files(delivery.filesDone)) (\(Measures.size(delivery.bytesDone)))"
    let part = "\(Measures.number(delivery.filesDone)) of \(Measures.files(delivery.filesTotal))"
    let title =
      switch ending {
      case .delivered: "Delivered: \(delivered)\(place)"
      case .partly: "Delivered in part: \(part)\(place)"
      case .failed: "Not delivered\(place.isEmpty ? "" : ":\(place)")"
      case .cancelled: "Cancelled: the delivery\(place)"
      }
    self.title = OneLine.shortened(title, to: TicketWords.maximumTitle)

    var lines = [Self.opening(ending, delivery, delivered: delivered, part: part, to: destination.full)]
    lines += Self.failure(of: delivery)
    if ending != .delivered, ending != .cancelled, delivery.filesDone > 0 {
      lines.append("Retrying the delivery does not send again what has been proven.")
    }
    if let duration = Measures.duration(from: delivery.startedAt, to: delivery.finishedAt) {
      lines.append("It took \(duration).")
    }
    if delivery.retries > 0 {
      lines.append("On the way, \(Measures.counted(delivery.retries, "step was", "steps were")) tried again.")
    }
    if delivery.hasReceipt { lines.append("A signed receipt lists each file with its SHA-256.") }
    let tickets = [delivery.userTicket, delivery.auditTicket].filter { !$0.isEmpty }
    if !tickets.isEmpty { lines.append("Tickets: \(OneLine.text(tickets.joined(separator: ", "))).") }
    if !delivery.id.isEmpty { lines.append("Delivery: \(OneLine.text(delivery.id)).") }
    body = lines.joined(separator: "\n")
  }

  private enum Ending {
    case delivered, partly, failed, cancelled

    init?(_ delivery: Delivery) {
      switch delivery.status {
      case .succeeded: self = delivery.filesFailed > 0 ? .partly : .delivered
      case .failed: self = delivery.filesDone > 0 ? .partly : .failed
      case .cancelled: self = .cancelled
      default: return nil
      }
    }
  }

  private static func opening(
    _ ending: Ending, _ delivery: Delivery, delivered: String, part: String, to destination: String
  ) -> String {
    let place = destination.isEmpty ? "" : " to \(destination)"
    switch ending {
    case .delivered:
      return "\(delivered) \(delivery.filesDone == 1 ? "was" : "were") delivered\(place) and proven."
    case .partly:
      let failed = delivery.filesFailed > 0 ? " \(Measures.files(delivery.filesFailed)) failed." : ""
      // Without bytes: bytes_done also counts those of files that were not finished.
      return "\(part) \(delivery.filesDone == 1 ? "was" : "were") delivered\(place) and proven.\(failed)"
    case .failed:
      return "Nothing was delivered\(place)."
    case .cancelled:
      return delivery.filesDone > 0
        ? "The delivery\(place) was cancelled after \(part)."
        : "The delivery\(place) was cancelled before any file was delivered."
    }
  }

  private static func failure(of delivery: Delivery) -> [String] {
    guard let problem = delivery.problem, delivery.status != .succeeded else { return [] }
    var lines: [String] = []
    if !problem.message.isEmpty { lines.append("What went wrong: \(OneLine.text(problem.message))") }
    if !problem.nextStep.isEmpty { lines.append("What to do: \(OneLine.text(problem.nextStep))") }
    let codes = [problem.code, problem.provider, problem.providerCode].filter { !$0.isEmpty }
    if !codes.isEmpty { lines.append("Code: \(OneLine.text(codes.joined(separator: ", "))).") }
    if !problem.requestID.isEmpty { lines.append("The provider's request id: \(OneLine.text(problem.requestID)).") }
    return lines
  }
}

extension DestinationWords {
  /// A delivery's own URL, else what its request says.
  init(_ delivery: Delivery) {
    self = delivery.destination.isEmpty
      ? DestinationWords(delivery.request ?? DeliveryRequest()) : DestinationWords(url: delivery.destination)
  }
}
