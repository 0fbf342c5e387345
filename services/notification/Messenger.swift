// The seam between the outbox and what carries a notification out of the house: mail, Teams, later others. One file a
// messenger and one line in the registry. A messenger sends once and judges the answer; retries are the outbox's.
import FerryAPI

/// One sending of one notification.
struct Outgoing: Sendable {
  let notification: FerryAPI.Notification
  /// An earlier sending may have arrived: its outcome was never learnt.
  let mayBeRepeat: Bool
}

struct SendFailure: Error, Sendable, Equatable {
  enum Kind: String, Sendable {
    case refused  // it will be refused again: an address, a login, a request
    case unreachable  // no answer: name, connection, time
    case throttled  // too many at once
    case serverFault  // the other side could not, for now
    case stopped  // this process is stopping; what became of the sending is not known
  }

  var kind: Kind
  var problem: Problem
  /// What the other side asked to wait.
  var retryAfter: Duration?
  /// The sending may have arrived all the same.
  var mayHaveArrived = false
}

/// Carries notifications to one channel. Called by one task at a time.
protocol Messenger: Sendable {
  /// Stands in ChannelDelivery: "email".
  var name: String { get }

  /// Whether the receiving side knows a sending that it has had before, so that a second one does no harm.
  var deduplicates: Bool { get }

  /// Where it goes, for people, without secrets.
  var detail: String { get }

  /// Why this notification can't go this way at all; nil if it can.
  func obstacle(to notification: FerryAPI.Notification) -> Problem?

  /// Returns when the other side has taken it.
  func send(_ outgoing: Outgoing) async throws(SendFailure)
}

extension Messenger {
  func obstacle(to notification: FerryAPI.Notification) -> Problem? { nil }
}

/// A channel as ListChannels shows it, set up or not.
struct Outlet: Sendable {
  let name: String
  /// Nil if it is not set up.
  let messenger: (any Messenger)?
  /// What to set to set it up.
  let setup: String
}

/// The channels beside the app itself, one line each, in the order they are shown.
enum Outlets {
  static let inApp = "in-app"

  static func all(_ options: MessengerOptions) throws -> [Outlet] {
    [
      Outlet(name: "email", messenger: try EmailMessenger(options), setup: "Set up by --smtp-url and --mail-from."),
      Outlet(name: "teams", messenger: try TeamsMessenger(options), setup: "Set up by --teams-webhook-url-file."),
    ]
  }
}
