// Which deliveries a list is about.
import FerryAPI
import RPC
import ServiceKit

struct DeliveryFilter: Sendable {
  static let maxSearchBytes = 200

  private let request: ListDeliveriesRequest
  private let words: [String]

  init(_ request: ListDeliveriesRequest) throws(RPCError) {
    guard request.search.utf8.count <= Self.maxSearchBytes else {
      throw .invalid(
        "The search has \(request.search.utf8.count) bytes.", next: "Search for at most \(Self.maxSearchBytes) bytes.")
    }
    self.request = request
    // A delivery has to have each word somewhere.
    words = request.search.lowercased().split(whereSeparator: \.isWhitespace).map(String.init)
  }

  /// It was made before the time that the list begins with.
  func isPast(_ delivery: Delivery) -> Bool {
    guard let from = request.createdFrom, let made = delivery.createdAt else { return false }
    return made < from
  }

  func takes(_ delivery: Delivery) -> Bool {
    if request.status != .unspecified && delivery.status != request.status { return false }
    if !request.schedule.isEmpty && delivery.schedule != request.schedule { return false }
    if !request.groupID.isEmpty && delivery.groupID != request.groupID { return false }
    if let before = request.createdBefore, let made = delivery.createdAt, made >= before { return false }
    if words.isEmpty { return true }
    let text = Self.text(delivery)
    return words.allSatisfy { text.contains($0) }
  }

  /// What is searched in.
  private static func text(_ delivery: Delivery) -> String {
    let source = delivery.request?.source
    let parts =
      [
        delivery.id, delivery.userTicket, delivery.auditTicket, delivery.request?.title ?? "", delivery.destination,
        delivery.request?.destination?.name ?? "", delivery.requester?.name ?? "", source?.bucket ?? "",
        delivery.schedule,
      ] + (source?.selections ?? []).map(\.value)
    return parts.joined(separator: "\n").lowercased()
  }
}
