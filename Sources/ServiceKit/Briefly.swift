// A task keeps the memory that its deepest call took until it ends. What lasts and mostly waits, of which there may be
// thousands (a watch, an event stream, an open connection), does its steps in tasks that end.
import RPC

/// Does a step of a long-lived task in a child task, which takes its memory with it when it ends. It belongs to the same
/// trace and executor, and is cancelled with its parent.
public func briefly<Value: Sendable>(_ step: @escaping @Sendable () async -> Value) async -> Value {
  await withTaskGroup(of: Value.self) { group in
    group.addTask { await step() }
    guard let value = await group.next() else { preconditionFailure("a child task ended without its value") }
    return value
  }
}

public func briefly<Value: Sendable>(
  _ step: @escaping @Sendable () async throws(RPCError) -> Value
) async throws(RPCError) -> Value {
  let result = await briefly { () async -> Result<Value, RPCError> in
    do throws(RPCError) { return .success(try await step()) } catch { return .failure(error) }
  }
  return try result.get()
}
