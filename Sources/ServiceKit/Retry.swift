// Repeats a change that reads, decides and writes under conditions while somebody else gets in between, and tells a
// store's failure as the caller of a method is to hear it.
import DocumentStore
import RPC

public enum Retry {
  /// Tries of one change; each that fails means that another one got through.
  public static let conflictLimit = 32

  /// `change` may throw RPCError, which ends it, or DocumentStoreError; a conflict is tried again, up to a bound.
  /// - Parameter subject: what is changed, for the sentence a caller reads: "ticket".
  public static func onConflict<Value: Sendable>(
    _ subject: StaticString, _ change: @Sendable () async throws -> Value
  ) async throws(RPCError) -> Value {
    for _ in 0...conflictLimit {
      do { return try await change() } catch let error as DocumentStoreError {
        guard case .conflict = error.kind else { throw RPCError(error) }
        // Whoever got in between has finished: the next try meets a later state, so no pause is needed.
        await Task.yield()
      } catch let error as RPCError {
        throw error
      } catch {
        throw .fault("The \(subject) could not be read or written.")
      }
    }
    throw .unavailable("The \(subject) is being changed by too many at once.")
  }
}
