// ETags as servers write them.

public enum EntityTag {
  /// With the quotes it must have (RFC 9110 section 8.8.3): some servers leave them out in some answers.
  public static func quoted(_ text: String) -> String {
    text.isEmpty || text.hasPrefix("\"") || text.hasPrefix("W/\"") ? text : "\"\(text)\""
  }
}
