// The contract's timestamps and the stores' milliseconds, one as the other.
import DocumentStore
import FerryAPI

extension Timestamp {
  public init(unixMilliseconds time: UnixMilliseconds) {
    self.init()
    let seconds = (time >= 0 ? time : time - 999) / 1000
    self.seconds = seconds
    nanos = Int32(time - seconds * 1000) * 1_000_000
  }

  public var unixMilliseconds: UnixMilliseconds { seconds * 1000 + Int64(nanos) / 1_000_000 }
}
