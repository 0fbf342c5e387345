// The program ferry-transfer: its options, and what its service is put together from.
import ArgumentParser
import CMalloc
import Destinations
import FerryAPI
import RPC
import ServiceKit
import Transport
import Workflow

@main
struct TransferCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ferry-transfer",
    abstract: "Delivers files from object storage to customers' servers, durably, and proves it.")

  /// Connections to one storage endpoint; chunks in flight of several deliveries share them.
  static let maxPerHost = 64

  @OptionGroup var options: ServiceOptions
  @OptionGroup var peers: PeerOptions

  @Option(help: "How long a source or destination in trouble is tried again, for each chunk, before it is given up.")
  var retryBudgetSeconds = 60

  @Option(help: "Deliveries under way at once; the rest waits, the most urgent first.")
  var maxDeliveries = 32

  @Option(help: "PEM file of the certificate authorities to trust for https endpoints, in place of the system's.")
  var caFile: String?

  @Option(help: "JSON file with the prices that a dry run reckons with, in place of the public ones that come with it.")
  var priceList: String?

  @Option(help: "A folder of this machine that deliveries may write to, as file:///PATH. May be repeated. Default: none.")
  var folderRoot: [String] = []

  func validate() throws {
    for folder in folderRoot where !folder.hasPrefix("/") {
      throw ValidationError("--folder-root is \(folder). Give the whole path, from / on.")
    }
    guard (1...1000).contains(maxDeliveries) else {
      throw ValidationError("--max-deliveries is \(maxDeliveries). Set it to 1 up to 1000.")
    }
    guard (0...86_400).contains(retryBudgetSeconds) else {
      throw ValidationError("--retry-budget-seconds is \(retryBudgetSeconds). Set it to 0 up to 86400.")
    }
  }

  /// Blocks of at least this many bytes, such as chunks, go back to the system when they are freed. glibc would keep them: it
  /// raises this size to that of the largest block that was freed (mallopt(3), M_MMAP_THRESHOLD).
  private static let mappedBytes: Int32 = 256 << 10

  func run() async throws {
    // It can only refuse what it does not know; then memory is kept as usual.
    _ = mallopt(M_MMAP_THRESHOLD, Self.mappedBytes)
    let (seconds, maxDeliveries, caFile) = (retryBudgetSeconds, maxDeliveries, caFile)
    let prices = try PriceList.load(priceList)
    let folderRoots = try folderRoot.map { folder in
      try RemotePath(.root, parts: folder.split(separator: "/").map(String.init))
    }
    try await runService(
      name: "transfer", options: options, peers: peers, files: [FerryFiles.common, FerryFiles.transfer]
    ) { environment in
      try await Self.build(
        environment, persist: Persistence(budgetSeconds: seconds), maxDeliveries: maxDeliveries, caFile: caFile,
        prices: prices, folderRoots: folderRoots)
    }
  }

  private static func build(
    _ environment: ServiceEnvironment, persist: Persistence, maxDeliveries: Int, caFile: String?, prices: PriceList,
    folderRoots: [RemotePath]
  ) async throws -> Router {
    var configuration = HTTPClientConfiguration()
    configuration.caFile = caFile
    configuration.maxPerHost = maxPerHost
    let http = HTTPClient(configuration)
    environment.onShutdown { http.shutdown() }
    let store = try await environment.openStore()
    let logger = environment.logger
    let assist = Assist.Client(environment.channel(to: "assist"))
    let identity = environment.identity
    let hub = WatchHub()
    let workflow = DeliveryWorkflow(
      archive: DeliveryArchive(store: store, box: environment.secretBox),
      destinations: DestinationStore(store: store, box: environment.secretBox, folderRoots: folderRoots),
      broker: StorageBroker.Client(environment.channel(to: "storage-broker")),
      tickets: Tickets(
        ticketing: Ticketing.Client(environment.channel(to: "ticketing")), assist: assist, identity: identity,
        persist: persist),
      announcements: Announcements(
        notifications: Notifications.Client(environment.channel(to: "notification")), assist: assist,
        identity: identity, persist: persist),
      identity: identity, http: http, threads: WorkThreads(), persist: persist, hub: hub,
      running: RunningDeliveries(), claims: TargetClaims(), throttles: DestinationThrottles(),
      signer: try ReceiptSigner(keyFile: environment.dataDirectory + "/receipt.key"), logger: logger)
    // The instance's name is the same after a restart, so that it takes its own runs up at once.
    let engine = WorkflowEngine(
      store: store, instance: "transfer",
      options: WorkflowEngine.Options(maximumRunning: maxDeliveries, namespace: JournalKeys.namespace)
    ) { event in
      switch event {
      case .started, .finished: hub.publishWaiting()
      case .scanFailed, .postponed: logger.warning("workflow", metadata: ["event": "\(event)"])
      default: logger.debug("workflow", metadata: ["event": "\(event)"])
      }
    }
    await engine.register(workflow.kind)
    let starter = DeliveryStarter(
      archive: workflow.archive, destinations: workflow.destinations, engine: engine, logger: logger)
    try await starter.finishStarting()
    try await engine.resume()
    environment.onStopping { hub.close() }
    environment.onShutdown { await engine.stop() }
    let deliveries = DeliveryCalls(workflow: workflow, engine: engine, starter: starter, prices: prices)
    let schedules = ScheduleStore(store: store)
    let runner = ScheduleRunner(
      schedules: schedules, starter: starter, logger: logger, identity: identity,
      auth: Auth.Client(environment.channel(to: "auth")),
      notifications: Notifications.Client(environment.channel(to: "notification")))
    await runner.start()
    environment.onShutdown { await runner.stop() }
    var router = Router()
    deliveries.register(in: &router)
    ScheduleCalls(schedules: schedules, runner: runner, deliveries: deliveries).register(in: &router)
    DestinationCalls(store: workflow.destinations).register(in: &router)
    return router
  }
}
