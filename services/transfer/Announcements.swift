// Tells the requester how a delivery ended: once, in words of assist or our own, by the notification service.
import FerryAPI
import RPC
import ServiceKit

struct Announcements: Sendable {
  static let timeout = Duration.seconds(10)
  private static let composeTimeout = Duration.seconds(3)

  let notifications: Notifications.Client
  let assist: Assist.Client
  let identity: ServiceIdentity
  let persist: Persistence

  /// Returns once the notification service has it.
  func tell(_ delivery: Delivery, _ outcome: Outcome, attempt: Int) async throws {
    let words = await compose(delivery, outcome)
    var request = NotifyRequest()
    request.key = "\(delivery.id)/\(Self.name(outcome))/\(attempt)"
    request.recipient = delivery.requester
    request.severity = outcome == .succeeded ? .success : outcome == .cancelled ? .warning : .error
    request.title = words.title
    request.body = words.body
    request.facts = Self.facts(delivery)
    request.deliveryID = delivery.id
    let ready = request
    try await persist { [identity, notifications] in
      do throws(RPCError) {
        let options = try await identity.options(onBehalfOf: ready.recipient?.id, timeout: Self.timeout)
        _ = try await notifications.notify(ready, options)
      } catch {
        throw DeliveryFailure(error, from: "notification")
      }
    }
  }

  private func compose(_ delivery: Delivery, _ outcome: Outcome) async -> CompletionMessage {
    // As it will stand in a moment: the message is about the end.
    var ended = delivery
    ended.status = outcome == .succeeded ? .succeeded : outcome == .cancelled ? .cancelled : .failed
    let own = Self.ownWords(ended, outcome)
    do throws(RPCError) {
      let options = try await identity.options(onBehalfOf: delivery.requester?.id, timeout: Self.composeTimeout)
      let request = ComposeCompletionRequest.with { $0.delivery = ended }
      let told = try await assist.composeCompletion(request, options)
      return told.title.isEmpty || told.body.isEmpty ? own : told
    } catch {
      return own  // assist is a convenience: its absence is no reason to hold anything up
    }
  }

  static func ownWords(_ delivery: Delivery, _ outcome: Outcome) -> CompletionMessage {
    CompletionMessage.with {
      switch outcome {
      case .succeeded:
        $0.title = "Delivered: \(ByteText.files(delivery.filesTotal)) to \(delivery.destination)"
        $0.body =
          "\(ByteText.files(delivery.filesTotal)), \(ByteText.describe(delivery.bytesTotal)), were delivered to "
          + "\(delivery.destination). The signed receipt says how they were proven."
      case .cancelled:
        $0.title = "Cancelled: delivery to \(delivery.destination)"
        let done = "\(delivery.filesDone) of \(ByteText.files(delivery.filesTotal))"
        $0.body = "\(done) had been delivered when it was cancelled."
      default:
        $0.title = "Failed: delivery to \(delivery.destination)"
        $0.body = [delivery.problem?.message, delivery.problem?.nextStep].compactMap { $0 }.joined(separator: " ")
      }
    }
  }

  private static func facts(_ delivery: Delivery) -> [Fact] {
    var facts = [
      ("Delivery", delivery.id), ("Ticket", delivery.userTicket), ("Destination", delivery.destination),
      ("Files", "\(delivery.filesDone) of \(delivery.filesTotal)"), ("Size", ByteText.describe(delivery.bytesTotal)),
    ]
    if let problem = delivery.problem {
      facts += [("Problem", problem.code), ("What to do", problem.nextStep)]
    }
    return facts.filter { !$0.1.isEmpty }.map { fact in Fact.with { ($0.name, $0.value) = fact } }
  }

  static func name(_ outcome: Outcome) -> String {
    switch outcome {
    case .succeeded: "succeeded"
    case .cancelled: "cancelled"
    default: "failed"
    }
  }
}
