// transfer.proto, first part: the service, its file's descriptor and its client stub. The messages are in
// TransferDestinations, -Options, -Requests, -Deliveries, -Calls, -Receipts and -Schedules, in the order of the .proto file.
import ProtoWire
import RPC

public enum Transfer {
  static let name = "fileferry.v1.Transfer"

  /// A dry run: what would move, and where to. Nothing is opened or written.
  public static let planDelivery = UnaryMethod<PlanDeliveryRequest, DeliveryPlan>(name, "PlanDelivery")
  /// Journals the delivery, opens its two tickets, and starts it. The same idempotency key gives the same delivery
  /// again.
  public static let startDelivery = UnaryMethod<StartDeliveryRequest, Delivery>(name, "StartDelivery")
  /// Starts a delivery of the same files to each of several servers: all, or none if one of them can't be. What one of them
  /// reads of the source the others need not read again, as long as they keep pace.
  public static let startDeliveries = UnaryMethod<StartDeliveriesRequest, StartDeliveriesResponse>(name, "StartDeliveries")
  public static let getDelivery = UnaryMethod<GetDeliveryRequest, Delivery>(name, "GetDelivery")
  public static let listDeliveries = UnaryMethod<ListDeliveriesRequest, ListDeliveriesResponse>(name, "ListDeliveries")
  public static let listDeliveryFiles = UnaryMethod<ListDeliveryFilesRequest, ListDeliveryFilesResponse>(
    name, "ListDeliveryFiles")
  /// What the journal holds of one file's chunks.
  public static let listChunks = UnaryMethod<ListChunksRequest, ListChunksResponse>(name, "ListChunks")
  /// Events from `afterSequence` on, then live until the delivery has ended.
  public static let watchDelivery = ServerStreamingMethod<WatchDeliveryRequest, DeliveryEvent>(name, "WatchDelivery")
  /// Nothing more is read or written, connections are let go; what is proven stays and is not sent again.
  public static let pauseDelivery = UnaryMethod<PauseDeliveryRequest, Delivery>(name, "PauseDelivery")
  public static let resumeDelivery = UnaryMethod<ResumeDeliveryRequest, Delivery>(name, "ResumeDelivery")
  public static let cancelDelivery = UnaryMethod<CancelDeliveryRequest, Delivery>(name, "CancelDelivery")
  /// Goes on with a failed or cancelled delivery: proven chunks are not sent again.
  public static let retryDelivery = UnaryMethod<RetryDeliveryRequest, Delivery>(name, "RetryDelivery")
  public static let getReceipt = UnaryMethod<GetReceiptRequest, SignedReceipt>(name, "GetReceipt")
  /// Lines of the list of files that a long receipt has in parts.
  public static let getReceiptPart = UnaryMethod<GetReceiptPartRequest, GetReceiptPartResponse>(name, "GetReceiptPart")
  /// The public key that receipts are checked with. Public call.
  public static let getReceiptKey = UnaryMethod<GetReceiptKeyRequest, ReceiptKey>(name, "GetReceiptKey")

  public static let saveDestination = UnaryMethod<SaveDestinationRequest, Destination>(name, "SaveDestination")
  public static let listDestinations = UnaryMethod<ListDestinationsRequest, ListDestinationsResponse>(
    name, "ListDestinations")
  public static let deleteDestination = UnaryMethod<DeleteDestinationRequest, DeleteDestinationResponse>(
    name, "DeleteDestination")
  /// Name, TCP, SSH, host key, login, write, rename, delete: each step and what it found.
  public static let testDestination = UnaryMethod<TestDestinationRequest, TestDestinationResponse>(
    name, "TestDestination")

  /// Makes a schedule, or replaces the one of its name.
  public static let saveSchedule = UnaryMethod<SaveScheduleRequest, Schedule>(name, "SaveSchedule")
  public static let listSchedules = UnaryMethod<ListSchedulesRequest, ListSchedulesResponse>(name, "ListSchedules")
  public static let deleteSchedule = UnaryMethod<DeleteScheduleRequest, DeleteScheduleResponse>(name, "DeleteSchedule")
  /// Starts its delivery now, besides its times, on behalf of its owner.
  public static let runSchedule = UnaryMethod<RunScheduleRequest, Delivery>(name, "RunSchedule")

  public static let service = ServiceDescriptor(
    name,
    [
      planDelivery.descriptor, startDelivery.descriptor, startDeliveries.descriptor, getDelivery.descriptor,
      listDeliveries.descriptor, listDeliveryFiles.descriptor, listChunks.descriptor, watchDelivery.descriptor, pauseDelivery.descriptor,
      resumeDelivery.descriptor, cancelDelivery.descriptor, retryDelivery.descriptor, getReceipt.descriptor,
      getReceiptPart.descriptor, getReceiptKey.descriptor, saveDestination.descriptor, listDestinations.descriptor,
      deleteDestination.descriptor, testDestination.descriptor, saveSchedule.descriptor, listSchedules.descriptor,
      deleteSchedule.descriptor, runSchedule.descriptor,
    ])
}

extension FerryFiles {
  public static let transfer = FileDescriptor(
    "fileferry/v1/transfer.proto", package: package, dependencies: [common, WellKnownFiles.timestamp],
    messages: [
      Selection.descriptor, Source.descriptor, DestinationCredentials.descriptor, HostKeyPolicy.descriptor,
      Destination.descriptor, SaveDestinationRequest.descriptor, ListDestinationsRequest.descriptor,
      ListDestinationsResponse.descriptor, DeleteDestinationRequest.descriptor, DeleteDestinationResponse.descriptor,
      TestDestinationRequest.descriptor, ProbeStep.descriptor, TestDestinationResponse.descriptor,
      NameReplacement.descriptor, NameMapping.descriptor, BandwidthWindow.descriptor, Bandwidth.descriptor,
      DeliveryOptions.descriptor, DeliveryRequest.descriptor, PlanDeliveryRequest.descriptor, PlanCost.descriptor,
      DeliveryPlan.descriptor, StartDeliveryRequest.descriptor, DeliveryTarget.descriptor,
      StartDeliveriesRequest.descriptor, StartDeliveriesResponse.descriptor, StateProgress.descriptor, Delivery.descriptor,
      DeliveryFile.descriptor, Chunk.descriptor, ListChunksRequest.descriptor, ListChunksResponse.descriptor,
      GetDeliveryRequest.descriptor, ListDeliveriesRequest.descriptor, ListDeliveriesResponse.descriptor,
      ListDeliveryFilesRequest.descriptor, ListDeliveryFilesResponse.descriptor, WatchDeliveryRequest.descriptor,
      DeliveryEvent.descriptor, PauseDeliveryRequest.descriptor, ResumeDeliveryRequest.descriptor,
      CancelDeliveryRequest.descriptor, RetryDeliveryRequest.descriptor, Receipt.descriptor, ReceiptFile.descriptor,
      ReceiptPart.descriptor, SignedReceipt.descriptor, GetReceiptRequest.descriptor, GetReceiptPartRequest.descriptor,
      GetReceiptPartResponse.descriptor, GetReceiptKeyRequest.descriptor, ReceiptKey.descriptor,
      Schedule.descriptor, SaveScheduleRequest.descriptor, ListSchedulesRequest.descriptor,
      ListSchedulesResponse.descriptor, DeleteScheduleRequest.descriptor, DeleteScheduleResponse.descriptor,
      RunScheduleRequest.descriptor,
    ],
    enums: [
      SelectionKind.descriptor, OnConflict.descriptor, Compression.descriptor, Folders.descriptor, Proof.descriptor,
      LetterCase.descriptor, Weekday.descriptor,
      DeliveryStatus.descriptor, DeliveryState.descriptor, StateStatus.descriptor, FileStatus.descriptor,
      DeliveryEventKind.descriptor,
    ],
    services: [Transfer.service])
}

extension Transfer {
  public struct Client: Sendable {
    public let channel: ClientChannel
    public init(_ channel: ClientChannel) { self.channel = channel }

    public func planDelivery(
      _ request: PlanDeliveryRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> DeliveryPlan {
      try await channel.unary(Transfer.planDelivery, request, options)
    }
    public func startDelivery(
      _ request: StartDeliveryRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Delivery {
      try await channel.unary(Transfer.startDelivery, request, options)
    }
    public func startDeliveries(
      _ request: StartDeliveriesRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> StartDeliveriesResponse {
      try await channel.unary(Transfer.startDeliveries, request, options)
    }
    public func getDelivery(
      _ request: GetDeliveryRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Delivery {
      try await channel.unary(Transfer.getDelivery, request, options)
    }
    public func listDeliveries(
      _ request: ListDeliveriesRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListDeliveriesResponse {
      try await channel.unary(Transfer.listDeliveries, request, options)
    }
    public func listDeliveryFiles(
      _ request: ListDeliveryFilesRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListDeliveryFilesResponse {
      try await channel.unary(Transfer.listDeliveryFiles, request, options)
    }
    public func listChunks(
      _ request: ListChunksRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListChunksResponse {
      try await channel.unary(Transfer.listChunks, request, options)
    }
    public func watchDelivery(
      _ request: WatchDeliveryRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ResponseStream<DeliveryEvent> {
      try await channel.serverStreaming(Transfer.watchDelivery, request, options)
    }
    public func pauseDelivery(
      _ request: PauseDeliveryRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Delivery {
      try await channel.unary(Transfer.pauseDelivery, request, options)
    }
    public func resumeDelivery(
      _ request: ResumeDeliveryRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Delivery {
      try await channel.unary(Transfer.resumeDelivery, request, options)
    }
    public func cancelDelivery(
      _ request: CancelDeliveryRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Delivery {
      try await channel.unary(Transfer.cancelDelivery, request, options)
    }
    public func retryDelivery(
      _ request: RetryDeliveryRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Delivery {
      try await channel.unary(Transfer.retryDelivery, request, options)
    }
    public func getReceipt(
      _ request: GetReceiptRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> SignedReceipt {
      try await channel.unary(Transfer.getReceipt, request, options)
    }
    public func getReceiptPart(
      _ request: GetReceiptPartRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> GetReceiptPartResponse {
      try await channel.unary(Transfer.getReceiptPart, request, options)
    }
    public func getReceiptKey(
      _ request: GetReceiptKeyRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ReceiptKey {
      try await channel.unary(Transfer.getReceiptKey, request, options)
    }
    public func saveDestination(
      _ request: SaveDestinationRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Destination {
      try await channel.unary(Transfer.saveDestination, request, options)
    }
    public func listDestinations(
      _ request: ListDestinationsRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListDestinationsResponse {
      try await channel.unary(Transfer.listDestinations, request, options)
    }
    public func deleteDestination(
      _ request: DeleteDestinationRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> DeleteDestinationResponse {
      try await channel.unary(Transfer.deleteDestination, request, options)
    }
    public func testDestination(
      _ request: TestDestinationRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> TestDestinationResponse {
      try await channel.unary(Transfer.testDestination, request, options)
    }
    public func saveSchedule(
      _ request: SaveScheduleRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Schedule {
      try await channel.unary(Transfer.saveSchedule, request, options)
    }
    public func listSchedules(
      _ request: ListSchedulesRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListSchedulesResponse {
      try await channel.unary(Transfer.listSchedules, request, options)
    }
    public func deleteSchedule(
      _ request: DeleteScheduleRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> DeleteScheduleResponse {
      try await channel.unary(Transfer.deleteSchedule, request, options)
    }
    public func runSchedule(
      _ request: RunScheduleRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Delivery {
      try await channel.unary(Transfer.runSchedule, request, options)
    }
  }
}
