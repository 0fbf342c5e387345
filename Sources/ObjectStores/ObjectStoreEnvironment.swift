// Time, waiting and chance, passed in so that a test rules them.
import FoundationEssentials

public struct ObjectStoreEnvironment: Sendable {
  public var now: @Sendable () -> Date
  public var sleep: @Sendable (Duration) async throws(CancellationError) -> Void
  /// From 0 up to, not including, 1.
  public var random: @Sendable () -> Double

  public init(
    now: @escaping @Sendable () -> Date, sleep: @escaping @Sendable (Duration) async throws(CancellationError) -> Void,
    random: @escaping @Sendable () -> Double
  ) {
    self.now = now
    self.sleep = sleep
    self.random = random
  }

  public static let system = ObjectStoreEnvironment(
    now: { Date() },
    sleep: { (duration) async throws(CancellationError) in
      do { try await Task.sleep(for: duration) } catch { throw CancellationError() }
    },
    random: { Double.random(in: 0..<1) })
}
