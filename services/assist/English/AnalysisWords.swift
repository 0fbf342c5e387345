// What the analysis of files says: the summary and one sentence a warning. Which files a sentence is about is decided
// by the rules.
import FerryAPI

enum AnalysisWords {
  static func summary(of analysis: FileAnalysis, largest: FileFacts?) -> String {
    if analysis.files == 0 { return "There are no files." }
    var text = "\(Measures.files(analysis.files)), \(Measures.size(analysis.bytes)) in all"
    if analysis.groups.count == 1, let only = analysis.groups.first {
      text += ", \(analysis.files == 1 ? "of the kind" : "all of the kind") \(only.kind)."
    } else {
      let parts = analysis.groups.map { "\($0.kind) (\(Measures.files($0.files)), \(Measures.size($0.bytes)))" }
      text += ": \(parts.joined(separator: ", "))."
    }
    if let largest, analysis.files > 1, largest.size > 0 {
      text += " The largest is \(OneLine.text(largest.name)) with \(Measures.size(largest.size))."
    }
    return text
  }

  static func emptyFiles(_ count: Int, _ names: [String]) -> String {
    "\(are(count, "empty")): \(list(names, of: count))."
  }

  static func unfinishedFiles(_ count: Int, _ names: [String]) -> String {
    "\(subject(count)) \(count == 1 ? "has a name" : "have names") of temporary or unfinished files: "
      + "\(list(names, of: count))."
  }

  static func hiddenFiles(_ count: Int, _ names: [String]) -> String {
    "\(are(count, "hidden, for the name starts with a dot")): \(list(names, of: count))."
  }

  static func programs(_ count: Int, _ names: [String]) -> String {
    "\(subject(count)) \(count == 1 ? "looks like a program" : "look like programs"): \(list(names, of: count))."
  }

  static func oddNames(_ count: Int, _ names: [String]) -> String {
    "\(subject(count)) \(count == 1 ? "has a name" : "have names") that some systems refuse or change: "
      + "\(list(names, of: count))."
  }

  static func veryLargeFiles(_ count: Int, _ names: [String]) -> String {
    "\(subject(count)) \(count == 1 ? "has" : "have") \(Measures.size(FileWarnings.veryLargeBytes)) or more: "
      + "\(list(names, of: count))."
  }

  static func collidingNames(_ count: Int, _ names: [String]) -> String {
    "\(Measures.counted(Int64(count), "name stands", "names stand")) there more than once if upper and lower case "
      + "count as the same, so that one file may replace another: \(list(names, of: count))."
  }

  private static func subject(_ count: Int) -> String { Measures.files(Int64(count)) }

  private static func are(_ count: Int, _ what: String) -> String {
    "\(subject(count)) \(count == 1 ? "is" : "are") \(what)"
  }

  private static func list(_ names: [String], of count: Int) -> String {
    let shown = names.map { OneLine.shortened(OneLine.text($0), to: 100) }.joined(separator: ", ")
    return count > names.count ? "\(shown) and \(Measures.number(Int64(count - names.count))) more" : shown
  }
}
