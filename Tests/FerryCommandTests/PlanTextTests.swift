// How a dry run's money reads: to the cent where there are cents, finer where there are none.
import Testing

@testable import FerryCommand

@Suite struct PlanTextTests {
  @Test("sums are told as exactly as people need", arguments: [
    (Int64(12_345_678), "12.35 USD"), (1_000_000, "1.00 USD"), (90_000, "0.090 USD"), (52, "0.000052 USD"),
    (0, "0.00 USD"), (1_999_999, "2.00 USD"),
  ])
  func money(_ microunits: Int64, _ text: String) {
    #expect(PlanText.money(microunits, "USD") == text)
  }
}
