// Reads sub-messages: the same reader goes on inside, with its end moved to the sub-message's own.

extension WireReader {
  /// A sub-message that merges into what an earlier occurrence of the field brought.
  @inlinable
  public mutating func message<M: Message>(into message: inout M?) throws(WireError) {
    let outer = try enter()
    if message == nil { message = M() }
    try message?.merge(from: &self)
    leave(to: outer)
  }

  @inlinable public mutating func message<M: Message>(_ type: M.Type = M.self) throws(WireError) -> M {
    var whole = M()
    try merge(&whole)
    return whole
  }

  /// Appends a sub-message, as `values.append(try reader.message())` does, and with it all that follow it directly.
  /// There is room for them from the start, and each is made where it stays.
  @inlinable
  public mutating func messages<M: Message>(into values: inout [M]) throws(WireError) {
    try expect(.lengthDelimited)
    let tag = UnsafeRawBufferPointer(start: fieldStart, count: cursor - fieldStart)
    let count = run(tag)
    if values.isEmpty { values.reserveCapacity(count) }  // later ones are left to append's own growth
    for index in 0..<max(count, 1) {
      if index > 0 { cursor += tag.count }
      let outer = try enterValue()
      values.append(M())
      try values[values.count - 1].merge(from: &self)
      leave(to: outer)
    }
  }

  @inlinable
  mutating func merge<M: Message>(_ message: inout M) throws(WireError) {
    let outer = try enter()
    try message.merge(from: &self)
    leave(to: outer)
  }

  /// Narrows the reader to the sub-message that comes next.
  /// - Returns: the end to go back to.
  @inlinable
  mutating func enter() throws(WireError) -> UnsafeRawPointer {
    try expect(.lengthDelimited)
    return try enterValue()
  }

  @usableFromInline
  mutating func enterValue() throws(WireError) -> UnsafeRawPointer {
    guard depth < Self.maxDepth else { throw .tooDeep }
    let bytes = try slice()
    let outer = end
    end = cursor
    cursor -= bytes.count
    depth += 1
    return outer
  }

  @inlinable
  mutating func leave(to outer: UnsafeRawPointer) {
    end = outer
    depth -= 1
  }

  /// How many values with that tag follow one another, the present one included. It counts whole ones only.
  @usableFromInline
  func run(_ tag: UnsafeRawBufferPointer) -> Int {
    var ahead = self
    var count = 0
    // It stops at what it cannot read: the message loop is the one that says why.
    while (try? ahead.slice()) != nil {
      count += 1
      let next = UnsafeRawBufferPointer(start: ahead.cursor, count: tag.count)
      guard ahead.end - ahead.cursor > tag.count, next.elementsEqual(tag) else { break }
      ahead.cursor += tag.count
    }
    return count
  }
}
