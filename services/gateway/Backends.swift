// The services behind the gateway: one channel each, and how long the gateway waits for them.
import FerryAPI
import RPC

struct Backends: Sendable {
  let auth: ClientChannel
  let ticketing: ClientChannel
  let storageBroker: ClientChannel
  let transfer: ClientChannel
  let notification: ClientChannel
  let assist: ClientChannel
  private let channel: @Sendable (_ service: String, _ connection: Int) -> ClientChannel

  /// - Parameter channel: Gives the channel to the service of a name, as ServiceKit names it: the same one for a number.
  init(_ channel: @escaping @Sendable (_ service: String, _ connection: Int) -> ClientChannel) {
    self.channel = channel
    auth = channel("auth", 0)
    ticketing = channel("ticketing", 0)
    storageBroker = channel("storage-broker", 0)
    transfer = channel("transfer", 0)
    notification = channel("notification", 0)
    assist = channel("assist", 0)
  }

  /// The channel for the event stream at a place. Such streams last: on the channels above they would use up the streams that
  /// a connection may have open (`HTTP2Configuration.maxConcurrentStreams`), and every other call would wait for one to end.
  func transferEvents(_ place: EventStreams.Place) -> ClientChannel { channel("transfer", 1 + place.connection) }
  func notificationEvents(_ place: EventStreams.Place) -> ClientChannel { channel("notification", 1 + place.connection) }

  /// Every service with its name and the gRPC service that it serves, in the order in which they start.
  var all: [(name: String, service: String, channel: ClientChannel)] {
    [
      ("auth", Auth.service.fullName, auth), ("ticketing", Ticketing.service.fullName, ticketing),
      ("storage-broker", StorageBroker.service.fullName, storageBroker),
      ("transfer", Transfer.service.fullName, transfer),
      ("notification", Notifications.service.fullName, notification),
      ("assist", Assist.service.fullName, assist),
    ]
  }
}

/// How long the gateway waits for an answer.
enum Patience {
  /// A part of a dashboard or a journey: a page waits for the slowest of them.
  static let part = Duration.seconds(5)
  static let healthCheck = Duration.seconds(2)
  static let call = Duration.seconds(30)
  /// Calls that themselves go out to a cloud or to a customer's server.
  static let outward = Duration.seconds(120)
  /// A dry run lists all that is selected.
  static let plan = Duration.seconds(900)
}
