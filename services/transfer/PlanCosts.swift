// What the source's cloud would charge for a plan, line by line. An estimate at list prices: free allowances, discounts
// and taxes are not known here.
import FerryAPI

struct PlanCosts: Sendable {
  let prices: PriceList
  let cloud: PriceList.Cloud
  let region: String

  /// Nil where no public price list applies: a folder, or a server of one's own that speaks S3 or Blob.
  init?(_ prices: PriceList, _ connection: Connection) {
    guard let cloud = prices.clouds[connection.provider] else { return nil }
    let endpoint = (connection.provider == "s3" ? connection.s3?.endpoint : connection.azureBlob?.endpoint) ?? ""
    guard endpoint.isEmpty || cloud.hosts.contains(where: { Self.host(of: endpoint).hasSuffix("." + $0) }) else {
      return nil
    }
    self.prices = prices
    self.cloud = cloud
    let named = connection.s3?.region ?? ""
    region = connection.provider == "s3" && named.isEmpty ? "us-east-1" : named
  }

  private static func host(of endpoint: String) -> String {
    let rest = endpoint.split(separator: "://", maxSplits: 1).last ?? ""
    return String(rest.prefix { $0 != "/" && $0 != ":" }).lowercased()
  }

  func isArchived(_ storageClass: String) -> Bool { cloud.classes[storageClass]?.archived ?? false }

  /// - Parameter lists: requests that found out what there is.
  func lines(_ tally: PlanTally, lists: Int64) -> [PlanCost] {
    let place = region.isEmpty ? "" : " from \(region)"
    var lines = [
      line(
        "Data transfer out to the internet", ByteText.describe(tally.bytes),
        gib(tally.bytes) * cloud.transferOutPerGiB[region],
        "\(money(cloud.transferOutPerGiB[region])) a GiB\(place); the month's free allowance is not taken off. "
          + "Nothing, if the destination is reached inside the cloud's own network.")
    ]
    let reads = tally.classes.values.reduce(0) { $0 + $1.reads }
    let readCost = tally.classes.reduce(0.0) { sum, entry in
      let price = cloud.classes[entry.key]?.readsPerThousand ?? cloud.readsPerThousand[region]
      return sum + Double(entry.value.reads) / 1000 * price
    }
    lines.append(
      line(
        "Read requests", "\(reads)", readCost,
        "\(money(cloud.readsPerThousand[region])) a thousand, colder classes more."))
    if lists > 0 {
      let price = cloud.listsPerThousand[region]
      // Once for this plan, once when the delivery begins.
      lines.append(
        line(
          "List requests", "\(2 * lists)", Double(2 * lists) / 1000 * price,
          "\(money(price)) a thousand; this plan's and the delivery's."))
    }
    for (name, sum) in tally.classes.sorted(by: { $0.key < $1.key }) {
      guard let price = cloud.classes[name]?.retrievalPerGiB, price > 0 else { continue }
      lines.append(
        line("Retrieval from \(name)", ByteText.describe(sum.bytes), gib(sum.bytes) * price, "\(money(price)) a GiB."))
    }
    return lines
  }

  private func line(_ item: String, _ quantity: String, _ cost: Double, _ note: String) -> PlanCost {
    .with {
      ($0.payer, $0.item, $0.quantity, $0.note) = (cloud.payer, item, quantity, note)
      ($0.microunits, $0.currency) = (Int64((cost * 1_000_000).rounded(.up)), prices.currency)
    }
  }

  private func gib(_ bytes: Int64) -> Double { Double(bytes) / Double(1 << 30) }
  private func money(_ price: Double) -> String { "\(price) \(prices.currency)" }
}
