// status, watch, pause, resume, cancel, retry: what is known of deliveries, and steering them.
import ArgumentParser
import FerryAPI
import RPC

struct Status: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows recent deliveries, or one in full.", discussion: "Examples: ferry status; ferry status dlv_01J...")
  @OptionGroup var options: ServerOptions
  @Argument(help: "A delivery's id.") var id: String?
  @Option(help: "How many recent deliveries to list.") var limit: Int32 = 20

  func run() async throws {
    try await Server.run(options) { server in
      let client = Transfer.Client(server.channel)
      if let id {
        let delivery = try await client.getDelivery(.with { $0.id = id }, server.signedIn())
        guard !options.json else { return print(delivery.jsonString()) }
        show(delivery)
        let failed = try await client.listDeliveryFiles(
          .with {
            $0.deliveryID = id
            $0.pageSize = 1000
          }, server.signedIn()
        ).files.filter { $0.status == .failed }
        for file in failed { print("  failed: \(file.key): \(file.problem?.message ?? "")") }
      } else {
        let list = try await client.listDeliveries(.with { $0.pageSize = limit }, server.signedIn())
        guard !options.json else { return print(list.jsonString()) }
        History.show(list.deliveries)
      }
    }
  }

  private func show(_ delivery: Delivery) {
    print("Delivery  \(delivery.id): \(Printing.name(delivery.status))")
    if !delivery.waitingFor.isEmpty { print("Waits     \(delivery.waitingFor)") }
    print("To        \(delivery.destination)")
    print("Tickets   \(delivery.userTicket) (user), \(delivery.auditTicket) (audit)")
    print("Asked by  \(delivery.requester?.name ?? "")")
    print("Files     \(delivery.filesDone) of \(delivery.filesTotal), \(Printing.bytes(delivery.bytesDone)) of \(Printing.bytes(delivery.bytesTotal))")
    print("Times     asked \(Printing.time(delivery.createdAt)), ended \(Printing.time(delivery.finishedAt))")
    print("Runs      \(delivery.runs), retries \(delivery.retries)")
    for state in delivery.states {
      print("  \(Printing.name(state.state).padding(to: 16))\(Printing.name(state.status).padding(to: 10))\(state.note)")
    }
    if let problem = delivery.problem {
      print("Problem   \(problem.message)")
      if !problem.nextStep.isEmpty { print("Next      \(problem.nextStep)") }
    }
    if delivery.hasReceipt { print("Receipt   ferry receipt \(delivery.id)") }
  }
}

struct Watch: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Follows a delivery until it has ended.", discussion: "Example: ferry watch dlv_01J...")
  @OptionGroup var options: ServerOptions
  @Argument(help: "The delivery's id.") var id: String

  func run() async throws {
    try await Server.run(options) { try await Progress.follow(id, $0, json: options.json) }
  }
}

struct Pause: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Puts a delivery aside. What is proven stays at the destination, and 'ferry resume' goes on from there.",
    discussion: "Example: ferry pause dlv_01J... --reason 'their server is full until noon'")
  @OptionGroup var options: ServerOptions
  @Argument(help: "The delivery's id.") var id: String
  @Option(help: "Why; noted on both tickets.") var reason = ""

  func run() async throws {
    try await Server.run(options) { server in
      let delivery = try await Transfer.Client(server.channel).pauseDelivery(
        .with {
          $0.id = id
          $0.reason = reason
        }, server.signedIn())
      if options.json { return print(delivery.jsonString()) }
      switch delivery.status {
      case .paused:
        print("The delivery is paused: \(delivery.filesDone) of \(Printing.files(delivery.filesTotal)) delivered.")
        print("Go on: ferry resume \(id)")
      case .succeeded, .failed, .cancelled: print("The delivery was quicker: it has \(Printing.name(delivery.status)).")
      default: print("The delivery pauses as soon as it is taken up: see 'ferry status \(id)'.")
      }
    }
  }
}

struct Resume: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Goes on with a paused delivery. What was proven is not sent again.",
    discussion: "Example: ferry resume dlv_01J... --watch")
  @OptionGroup var options: ServerOptions
  @Argument(help: "The delivery's id.") var id: String
  @Flag(help: "Show the progress until it has ended.") var watch = false

  func run() async throws {
    try await Server.run(options) { server in
      let delivery = try await Transfer.Client(server.channel).resumeDelivery(.with { $0.id = id }, server.signedIn())
      if !options.json {
        print("The delivery is \(Printing.name(delivery.status)).")
      } else if !watch {
        print(delivery.jsonString())
      }
      if watch { try await Progress.follow(id, server, json: options.json) }
    }
  }
}

struct Cancel: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stops a delivery and takes away what is not proven.", discussion: "Example: ferry cancel dlv_01J... --reason 'wrong folder'")
  @OptionGroup var options: ServerOptions
  @Argument(help: "The delivery's id.") var id: String
  @Option(help: "Why; noted on both tickets.") var reason = ""

  func run() async throws {
    try await Server.run(options) { server in
      let delivery = try await Transfer.Client(server.channel).cancelDelivery(
        .with {
          $0.id = id
          $0.reason = reason
        }, server.signedIn())
      print(options.json ? delivery.jsonString() : "The delivery is \(Printing.name(delivery.status)).")
    }
  }
}

struct Retry: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Goes on with a failed or cancelled delivery. What was proven is not sent again.",
    discussion: "Example: ferry retry dlv_01J... --watch")
  @OptionGroup var options: ServerOptions
  @Argument(help: "The delivery's id.") var id: String
  @OptionGroup var login: DestinationLogin
  @Flag(help: "Show the progress until it has ended.") var watch = false

  func run() async throws {
    let credentials = try login.credentials()
    try await Server.run(options) { server in
      let delivery = try await Transfer.Client(server.channel).retryDelivery(
        .with {
          $0.id = id
          $0.credentials = credentials
        }, server.signedIn())
      if !options.json { print("Delivery \(delivery.id)") } else if !watch { print(delivery.jsonString()) }
      if watch { try await Progress.follow(id, server, json: options.json) }
    }
  }
}
