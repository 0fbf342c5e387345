// How a dry run's time and costs read.
import FerryAPI

enum PlanText {
  /// "Takes    0:40 to 2:10 (the last 3 deliveries to sftp.example.com)"; nil where nothing can be said.
  static func time(_ plan: DeliveryPlan) -> String? {
    guard plan.secondsHigh > 0 else { return nil }
    let (low, high) = (duration(plan.secondsLow), duration(plan.secondsHigh))
    return "Takes    \(low == high ? high : "\(low) to \(high)") (\(plan.durationBasis))"
  }

  private static func duration(_ seconds: Int64) -> String { Printing.duration(seconds: Double(seconds)) }

  /// A line for each cloud's sum, and one for each of its parts.
  static func costs(_ plan: DeliveryPlan) -> [String] {
    var lines: [String] = []
    var payers: [String] = []
    for cost in plan.costs where !payers.contains(cost.payer) { payers.append(cost.payer) }
    for payer in payers {
      let parts = plan.costs.filter { $0.payer == payer }
      let sum = parts.reduce(0) { $0 + $1.microunits }
      lines.append("Costs    about \(money(sum, parts[0].currency)) on \(payer)'s bill (prices of \(plan.priceList))")
      for part in parts {
        lines.append("         \(money(part.microunits, part.currency))  \(part.item), \(part.quantity): \(part.note)")
      }
    }
    return lines
  }

  /// "12.35 USD"; small sums with as many digits as they need: "0.0004 USD".
  static func money(_ microunits: Int64, _ currency: String) -> String {
    let digits = microunits >= 1_000_000 || microunits == 0 ? 2 : microunits >= 10_000 ? 3 : 6
    var (scale, unit) = (Int64(1), Int64(1_000_000))
    for _ in 0..<digits { (scale, unit) = (scale * 10, unit / 10) }
    let rounded = (microunits + unit / 2) / unit
    let fraction = String(rounded % scale)
    return "\(rounded / scale).\(String(repeating: "0", count: digits - fraction.count))\(fraction) \(currency)"
  }
}
