// What clouds charge for reading: data, not code. The list that comes with the program is prices.json; an operator with
// prices of their own gives another file of the same form.
import FoundationEssentials
import ServiceKit

struct PriceList: Sendable, Decodable {
  static let maxBytes = 1 << 20

  struct StorageClass: Sendable, Decodable {
    var readsPerThousand: Double?
    var retrievalPerGiB: Double?
    /// Can't be read until it is restored.
    var archived: Bool?
  }

  /// Prices by region; "*" is for those that are not named.
  struct ByRegion: Sendable, Decodable {
    private let prices: [String: Double]

    init(from decoder: any Decoder) throws {
      prices = try decoder.singleValueContainer().decode([String: Double].self)
      guard prices["*"] != nil, prices.values.allSatisfy({ $0 >= 0 && $0.isFinite }) else {
        throw DecodingError.dataCorrupted(
          .init(codingPath: decoder.codingPath, debugDescription: "it needs a price for \"*\", and none below 0"))
      }
    }

    subscript(_ region: String) -> Double { prices[region] ?? prices["*"] ?? 0 }
  }

  struct Cloud: Sendable, Decodable {
    /// Whose bill it is on.
    var payer: String
    /// Ends of the host names that are the cloud's own; another endpoint has prices of its own.
    var hosts: [String]
    var transferOutPerGiB: ByRegion
    /// Of GET and HEAD.
    var readsPerThousand: ByRegion
    var listsPerThousand: ByRegion
    var classes: [String: StorageClass]
  }

  /// The month of the prices: "2025-07".
  var asOf: String
  var source: String
  var currency: String
  /// By provider's id: "s3", "azure".
  var clouds: [String: Cloud]

  var title: String { "\(asOf), \(source)" }

  struct Unreadable: Error, CustomStringConvertible {
    var place: String
    var reason: String
    var description: String {
      "The price list \(place) can't be read: \(reason). "
        + "Give a file of the form of prices.json, or leave the option out."
    }
  }

  /// - Parameter path: nil for the list that comes with the program.
  static func load(_ path: String?) throws(Unreadable) -> PriceList {
    let place = path ?? "prices.json"
    do {
      let bytes = try path.map { try Data(contentsOf: URL(filePath: $0)) } ?? Data(PackageResources.prices_json)
      guard bytes.count <= maxBytes else { throw Unreadable(place: place, reason: "it is over \(maxBytes) bytes") }
      return try JSONDecoder().decode(PriceList.self, from: bytes)
    } catch let unreadable as Unreadable {
      throw unreadable
    } catch let DecodingError.keyNotFound(key, context) {
      throw Unreadable(place: place, reason: "\(Self.text(context.codingPath))\(key.stringValue) is missing")
    } catch let DecodingError.typeMismatch(_, context) {
      throw Unreadable(place: place, reason: "\(Self.text(context.codingPath)) is of another kind")
    } catch let DecodingError.dataCorrupted(context) {
      throw Unreadable(place: place, reason: "\(Self.text(context.codingPath)) \(context.debugDescription)")
    } catch {
      throw Unreadable(place: place, reason: error.localizedDescription)
    }
  }

  private static func text(_ path: [any CodingKey]) -> String { path.map { $0.stringValue + "." }.joined() }
}
