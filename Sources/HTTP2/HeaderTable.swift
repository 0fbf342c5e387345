// HPACK's two tables (RFC 7541 section 2.3) as a peer's encoder sees them.

/// A field in a table. Its bytes are laid out as in `HTTP2Headers`.
struct TableEntry {
  var bytes: UnsafeRawPointer
  var nameLength: Int32
  var valueLength: Int32
  var name: FieldName
  var role: FieldRole

  var record: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes, count: byteCount) }
  var nameBytes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: bytes + HTTP2Headers.prefixLength, count: Int(nameLength))
  }
  var byteCount: Int { HTTP2Headers.prefixLength + Int(nameLength) + Int(valueLength) }
  /// RFC 7541 section 4.1.
  var size: Int { Int(nameLength) + Int(valueLength) + HeaderTable.overhead }
}

struct HeaderTable: ~Copyable {
  /// SETTINGS_HEADER_TABLE_SIZE, which stays as it is by default.
  static let maxSize = 4096
  static let overhead = 32
  /// No more entries fit.
  private static let maxEntries = maxSize / overhead
  /// All that fits, and as much again, so that bytes are moved together only now and then.
  private static let capacity = 2 * maxSize

  private let fixed = StaticFields.shared.entries
  /// None until the first field is added.
  private var bytes: UnsafeMutableRawPointer?
  private var end = 0
  /// The entry that was added as number n is at n modulo its length.
  private var ring: UnsafeMutablePointer<TableEntry>?
  private var added = 0
  private var count = 0
  private var size = 0
  private var limit = maxSize

  deinit {
    bytes?.deallocate()
    ring?.deallocate()
  }

  /// The entry of an index (RFC 7541 section 2.3.3), valid until the table changes. Nil if there is none.
  func entry(_ index: Int) -> UnsafePointer<TableEntry>? {
    if index <= StaticFields.count { return index > 0 ? fixed + index : nil }
    let age = index - StaticFields.count - 1
    guard age < count, let ring else { return nil }
    return UnsafePointer(ring + (added - 1 - age) & (Self.maxEntries - 1))
  }

  /// Adds a field (RFC 7541 section 4.4), whose bytes are not of this table.
  mutating func add(_ new: TableEntry) {
    evict(to: limit - new.size)
    guard new.size <= limit else { return }
    let ring = ring ?? .allocate(capacity: Self.maxEntries)
    let bytes = bytes ?? .allocate(byteCount: Self.capacity, alignment: 8)
    (self.ring, self.bytes) = (ring, bytes)
    if Self.capacity - end < new.byteCount { gatherBytes(ring, bytes) }
    var entry = new
    entry.bytes = UnsafeRawPointer(bytes + end)
    (bytes + end).copyMemory(from: new.bytes, byteCount: new.byteCount)
    end += new.byteCount
    (ring + added & (Self.maxEntries - 1)).initialize(to: entry)
    added += 1
    count += 1
    size += new.size
  }

  /// False if the peer may not have it so.
  mutating func resize(_ newLimit: Int) -> Bool {
    guard newLimit <= Self.maxSize else { return false }
    limit = newLimit
    evict(to: newLimit)
    return true
  }

  private mutating func evict(to target: Int) {
    while size > max(0, target), count > 0, let ring {
      size -= ring[(added - count) & (Self.maxEntries - 1)].size
      count -= 1
    }
  }

  /// Moves the bytes of all entries to the beginning.
  private mutating func gatherBytes(_ ring: UnsafeMutablePointer<TableEntry>, _ bytes: UnsafeMutableRawPointer) {
    end = 0
    for number in added - count..<added {
      let entry = ring + number & (Self.maxEntries - 1)
      (bytes + end).copyMemory(from: entry.pointee.bytes, byteCount: entry.pointee.byteCount)
      entry.pointee.bytes = UnsafeRawPointer(bytes + end)
      end += entry.pointee.byteCount
    }
  }
}

/// RFC 7541 appendix A. Immutable once made, and never freed, which makes `@unchecked Sendable` true.
private final class StaticFields: @unchecked Sendable {
  static let shared = StaticFields()
  static let count = 61

  /// By index; the first stands for nothing.
  let entries: UnsafePointer<TableEntry>

  private init() {
    var all = HTTP2Headers()
    for (name, value) in Self.fields { all.add(name, value) }
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: all.storage.count, alignment: 8)
    bytes.copyBytes(from: all.storage)
    let entries = UnsafeMutablePointer<TableEntry>.allocate(capacity: Self.count + 1)
    var offset = 0
    for index in 0...Self.count {
      let field = HTTP2Headers.field(at: offset, in: UnsafeRawBufferPointer(bytes))
      let name = FieldName(field.name)
      let entry = TableEntry(
        bytes: field.name.baseAddress.map { $0 - HTTP2Headers.prefixLength } ?? UnsafeRawPointer(entries),
        nameLength: Int32(field.name.count), valueLength: Int32(field.value.count), name: name,
        role: FieldRole(name, field.value))
      (entries + index).initialize(to: entry)
      if index > 0 { offset = field.next }
    }
    self.entries = UnsafePointer(entries)
  }

  private static let fields: [(String, String)] = [
    (":authority", ""), (":method", "GET"), (":method", "POST"), (":path", "/"), (":path", "/index.html"),
    (":scheme", "http"), (":scheme", "https"), (":status", "200"), (":status", "204"), (":status", "206"),
    (":status", "304"), (":status", "400"), (":status", "404"), (":status", "500"), ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"), ("accept-language", ""), ("accept-ranges", ""), ("accept", ""),
    ("access-control-allow-origin", ""), ("age", ""), ("allow", ""), ("authorization", ""), ("cache-control", ""),
    ("content-disposition", ""), ("content-encoding", ""), ("content-language", ""), ("content-length", ""),
    ("content-location", ""), ("content-range", ""), ("content-type", ""), ("cookie", ""), ("date", ""), ("etag", ""),
    ("expect", ""), ("expires", ""), ("from", ""), ("host", ""), ("if-match", ""), ("if-modified-since", ""),
    ("if-none-match", ""), ("if-range", ""), ("if-unmodified-since", ""), ("last-modified", ""), ("link", ""),
    ("location", ""), ("max-forwards", ""), ("proxy-authenticate", ""), ("proxy-authorization", ""), ("range", ""),
    ("referer", ""), ("refresh", ""), ("retry-after", ""), ("server", ""), ("set-cookie", ""),
    ("strict-transport-security", ""), ("transfer-encoding", ""), ("user-agent", ""), ("vary", ""), ("via", ""),
    ("www-authenticate", ""),
  ]
}
