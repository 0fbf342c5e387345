// Answers to questions about a delivery. Each sentence says what stands in the delivery, and nothing else.
import FerryAPI

struct ChatWords: Sendable {
  private static let namedFiles = 5

  private let delivery: Delivery
  private let failed: [DeliveryFile]
  private let now: Timestamp
  private let place: DestinationWords

  init(_ delivery: Delivery, failed: [DeliveryFile], now: Timestamp) {
    (self.delivery, self.failed, self.now) = (delivery, failed, now)
    place = DestinationWords(delivery)
  }

  /// As a person would put it.
  func question(_ topic: ChatTopic) -> String {
    switch topic {
    case .status: "How is it going?"
    case .timeLeft: isOver ? "How long did it take?" : "How long will it still take?"
    case .failure: delivery.status == .cancelled ? "Why was it cancelled?" : "Why did it fail?"
    case .nextStep: "What should I do now?"
    case .failedFiles: "Which files failed?"
    case .steps: "Which step is it at?"
    case .retries: "Was anything tried again?"
    case .proof: "How is it proven?"
    case .tickets: "What are the ticket numbers?"
    case .people: "Who asked for it?"
    case .place: "Where does it go?"
    case .source: "What is delivered?"
    case .steering: "Can I stop it or run it again?"
    }
  }

  func answer(_ topic: ChatTopic) -> String {
    switch topic {
    case .status: status
    case .timeLeft: time
    case .failure: failure
    case .nextStep: nextStep
    case .failedFiles: failedFiles
    case .steps: steps
    case .retries: retries
    case .proof: proof
    case .tickets: tickets
    case .people: people
    case .place: "It goes to \(place.full.isEmpty ? "a server that the request does not name" : place.full)."
    case .source: source
    case .steering: steering
    }
  }

  var unknown: String {
    "I know this delivery and nothing else. Ask me how it is going, how long it takes, why it failed and what to do, how it is "
      + "proven, or for its ticket numbers."
  }

  private var isOver: Bool { [.succeeded, .failed, .cancelled].contains(delivery.status) }

  private var figures: String {
    let files = "\(Measures.number(delivery.filesDone)) of \(Measures.files(delivery.filesTotal))"
    return "\(files) and \(Measures.size(delivery.bytesDone)) of \(Measures.size(delivery.bytesTotal))"
  }

  private var status: String {
    switch delivery.status {
    case .pending: return "It waits for its turn. Nothing has moved yet."
    case .paused:
      let why = delivery.waitingFor.isEmpty ? "paused" : OneLine.text(delivery.waitingFor)
      return "It is \(why). \(figures) are there; what is proven stays and is not sent again."
    case .succeeded: return "It is done: \(figures) were delivered and proven."
    case .failed: return "It failed. \(figures) had been sent. \(problem)"
    case .cancelled: return "It was cancelled. \(figures) had been sent."
    default:
      if delivery.filesTotal == 0 { return "It is running, and is still finding out which files to move. \(active)" }
      return "It is running: \(figures) are there. \(active)"
    }
  }

  private var active: String {
    guard let state = delivery.states.first(where: { $0.status == .active }) else { return "" }
    return "It is at the step \(Self.name(state.state))\(state.note.isEmpty ? "." : ": \(OneLine.text(state.note)).")"
  }

  private static func name(_ state: DeliveryState) -> String {
    let name = DeliveryState.descriptor.name(of: state.rawValue) ?? ""
    return name.dropFirst("DELIVERY_STATE_".count).lowercased().split(separator: "_").joined(separator: " ")
  }

  private var time: String {
    if isOver {
      return Measures.duration(from: delivery.startedAt, to: delivery.finishedAt).map { "It took \($0)." }
        ?? "It never began."
    }
    if delivery.status == .paused { return "That can't be said while it is paused." }
    guard let start = delivery.startedAt, delivery.bytesDone > 0, now.seconds > start.seconds else {
      return "That can't be said before the first bytes have moved."
    }
    let rate = delivery.bytesDone / (now.seconds - start.seconds)
    guard rate > 0 else { return "It is too slow yet to say." }
    let left = (delivery.bytesTotal - delivery.bytesDone) / rate
    let rest = Measures.duration(from: Timestamp(seconds: 0), to: Timestamp(seconds: max(0, left))) ?? "a moment"
    return "About \(rest) more, if it goes on as fast as so far (\(Measures.size(rate)) a second)."
  }

  private var problem: String {
    guard let problem = delivery.problem, !problem.message.isEmpty else { return "" }
    return OneLine.text(problem.message)
  }

  private var failure: String {
    if delivery.status == .cancelled { return problem.isEmpty ? "Somebody cancelled it." : problem }
    if problem.isEmpty { return isOver ? "Nothing went wrong." : "Nothing has gone wrong so far." }
    let codes = [delivery.problem?.provider, delivery.problem?.providerCode, delivery.problem?.requestID]
      .compactMap { $0 }.filter { !$0.isEmpty }.map { OneLine.text($0) }
    return codes.isEmpty ? problem : "\(problem) The other side's own words: \(codes.joined(separator: ", "))."
  }

  private var nextStep: String {
    switch delivery.status {
    case .succeeded: return "Nothing: it is delivered. The signed receipt can be downloaded and checked."
    case .failed, .cancelled:
      let step = OneLine.text(delivery.problem?.nextStep ?? "")
      return (step.isEmpty ? "" : step + " ") + "Then retry the delivery: what is proven is not sent again."
    case .paused: return "Resume it when it may go on."
    default: return "Nothing: it goes on by itself, also after a lost connection or a crash."
    }
  }

  private var failedFiles: String {
    if delivery.filesFailed == 0 { return "No file has failed." }
    let named = failed.prefix(Self.namedFiles).map { file in
      "\(OneLine.shortened(OneLine.text(file.key), to: 120)): \(OneLine.text(file.problem?.message ?? "it was not delivered"))"
    }
    let more = delivery.filesFailed - Int64(named.count)
    let rest = more > 0 && !named.isEmpty ? ["And \(Measures.files(more)) more."] : []
    return (["\(Measures.files(delivery.filesFailed)) failed."] + named + rest).joined(separator: "\n")
  }

  private var steps: String {
    let told = delivery.states.map { state in
      let word =
        switch state.status {
        case .active: "working"
        case .done: "done"
        case .skipped: "not needed"
        case .failed: "failed"
        default: "waiting"
        }
      return "\(Self.name(state.state)): \(word)"
    }
    return told.isEmpty ? "It has not begun." : "Its eight steps: \(told.joined(separator: ", "))."
  }

  private var retries: String {
    let tries = delivery.retries == 0 ? "No step had to be tried again." :
      "\(Measures.counted(delivery.retries, "step was", "steps were")) tried again."
    guard delivery.runs > 1 else { return tries }
    let runs = Measures.number(Int64(delivery.runs))
    return "\(tries) FileFerry took the delivery up \(runs) times, after a restart or a retry."
  }

  private var proof: String {
    let size = delivery.request?.options?.proof == .size
    let how = size
      ? "As its request chose, no more than the size of each file is compared."
      : "Each file is read back from the server, or hashed there, and has to equal what was read from the storage, byte for byte."
    return delivery.hasReceipt
      ? "\(how) All of it was, and the signed receipt says so with each file's SHA-256."
      : "\(how) The receipt is signed when all files are proven; there is none yet."
  }

  private var tickets: String {
    guard !delivery.userTicket.isEmpty else { return "Its tickets are still being opened." }
    return "Your ticket is \(OneLine.text(delivery.userTicket)), the audit ticket \(OneLine.text(delivery.auditTicket))."
  }

  private var people: String {
    let who = RequestWords.name(delivery.requester) ?? "Somebody unknown"
    let group = OneLine.text(delivery.request?.assignmentGroup ?? "")
    let schedule = delivery.schedule.isEmpty ? "" : " The schedule \(OneLine.text(delivery.schedule)) started it."
    return "\(who) asked for it\(group.isEmpty ? "" : ", for the group \(group)").\(schedule)"
  }

  private var source: String {
    guard let source = delivery.request?.source else { return "The request does not say." }
    let chosen = source.selections.prefix(Self.namedFiles).map(RequestWords.selection)
    let more = source.selections.count - chosen.count
    return "From the bucket \(OneLine.text(source.bucket)): \(chosen.joined(separator: "; "))"
      + (more > 0 ? "; and \(more) more selections." : ".")
  }

  private var steering: String {
    switch delivery.status {
    case .succeeded: "It is over. To send the files again, start a new delivery."
    case .failed, .cancelled: "Retry it to go on where it stopped: what is proven is not sent again."
    case .paused: "Resume it to go on, or cancel it: then what is not proven is taken away."
    default:
      "Pause it, and it lets go of every connection and goes on when you resume it; or cancel it, and what is not proven is "
        + "taken away."
    }
  }
}
