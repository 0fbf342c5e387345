// schedule: deliveries that start by themselves; saved, listed, run at once, paused, resumed, removed.
import ArgumentParser
import FerryAPI
import FoundationEssentials
import RPC

struct ScheduleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schedule", abstract: "Deliveries that start by themselves: save, list, run, pause, resume, remove.",
    subcommands: [Save.self, All.self, Run.self, Pause.self, Resume.self, Remove.self], defaultSubcommand: All.self)

  struct Save: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Saves or changes a schedule. Its deliveries are yours.",
      discussion: """
        Examples:
          ferry schedule save acme-daily s3://exports/daily/ acme:/in/ --at '30 6 * * MON-FRI' --time-zone Europe/Berlin
          ferry schedule save reports --glob 's3://exports/{yesterday}/*.csv' acme:/in/{date}/ --at @daily

        In source, --exclude and path, {date} and {yesterday} stand for days of the run's own time, as 2026-11-27, and \
        {year}, {month}, {day} and {hour} for parts of it. The destination is a saved one: a schedule holds no secrets.
        """)
    @OptionGroup var options: ServerOptions
    @Argument(help: "Name of the schedule.") var name: String
    @OptionGroup var request: RequestOptions
    @Option(
      help: """
        When: minute, hour, day of the month, month and day of the week, as in crontab; or @hourly, @daily, @weekly, \
        @monthly, @yearly. --time-zone says whose clock.
        """)
    var at: String

    func validate() throws {
      if try request.login.credentials() != nil {
        throw ValidationError("A schedule holds no secrets. Save the destination with them: ferry destination add.")
      }
    }

    func run() async throws {
      let schedule = try Schedule.with {
        $0.name = name
        $0.request = try request.request()
        ($0.cron, $0.timeZone) = (at, request.bandwidth.timeZone)
      }
      try await Server.run(options) { server in
        let saved = try await Transfer.Client(server.channel).saveSchedule(
          .with { $0.schedule = schedule }, server.signedIn())
        let said = "Saved schedule \(saved.name). Next run: \(Printing.time(saved.nextRunAt))"
        print(options.json ? saved.jsonString() : said)
      }
    }
  }

  struct All: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "Lists schedules, with their next and last run.", discussion: "Example: ferry schedule list")
    @OptionGroup var options: ServerOptions

    func run() async throws {
      try await Server.run(options) { server in
        let list = try await Transfer.Client(server.channel).listSchedules(ListSchedulesRequest(), server.signedIn())
        guard !options.json else { return print(list.jsonString()) }
        guard !list.schedules.isEmpty else { return print("There are no schedules.") }
        Printing.table(
          ["NAME", "TIMES", "NEXT RUN", "LAST RUN", "LAST DELIVERY", "OWNER", "TO"],
          list.schedules.map { one in
            [
              one.name, "\(one.cron) \(one.timeZone.isEmpty ? "UTC" : one.timeZone)",
              one.paused ? "paused" : Printing.time(one.nextRunAt), Printing.time(one.lastRunAt),
              one.lastProblem == nil ? one.lastDeliveryID : "none", one.owner?.name ?? "",
              (one.request?.destination?.name ?? "") + (one.request?.path.isEmpty == false ? ":\(one.request?.path ?? "")" : ""),
            ]
          })
        for one in list.schedules {
          guard let problem = one.lastProblem else { continue }
          printError("\(one.name): \(problem.message)\(problem.nextStep.isEmpty ? "" : " Next: \(problem.nextStep)")")
        }
      }
    }
  }

  struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Starts a schedule's delivery now, besides its times.",
      discussion: "Example: ferry schedule run acme-daily --watch")
    @OptionGroup var options: ServerOptions
    @Argument(help: "Name of the schedule.") var name: String
    @Flag(help: "Show the progress until it has ended.") var watch = false

    func run() async throws {
      try await Server.run(options) { server in
        let delivery = try await Transfer.Client(server.channel).runSchedule(.with { $0.name = name }, server.signedIn())
        try await Deliver.show(delivery, server, json: options.json, watch: watch)
      }
    }
  }

  struct Pause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lets no run of a schedule start until it is resumed.", discussion: "Example: ferry schedule pause acme-daily")
    @OptionGroup var options: ServerOptions
    @Argument(help: "Name of the schedule.") var name: String

    func run() async throws {
      try await ScheduleCommand.change(name, options, { $0.paused = true }) { "Paused schedule \($0.name)." }
    }
  }

  struct Resume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Goes on with a paused schedule.", discussion: "Example: ferry schedule resume acme-daily")
    @OptionGroup var options: ServerOptions
    @Argument(help: "Name of the schedule.") var name: String

    func run() async throws {
      try await ScheduleCommand.change(name, options, { $0.paused = false }) {
        "Resumed schedule \($0.name). Next run: \(Printing.time($0.nextRunAt))"
      }
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Removes a schedule; what it has started goes on.", discussion: "Example: ferry schedule remove acme-daily")
    @OptionGroup var options: ServerOptions
    @Argument(help: "Name of the schedule.") var name: String

    func run() async throws {
      try await Server.run(options) { server in
        _ = try await Transfer.Client(server.channel).deleteSchedule(.with { $0.name = name }, server.signedIn())
        print("Removed schedule \(name).")
      }
    }
  }

  /// Saves a schedule as it stands, changed in one thing.
  private static func change(
    _ name: String, _ options: ServerOptions, _ change: (inout Schedule) -> Void, _ said: (Schedule) -> String
  ) async throws {
    try await Server.run(options) { server in
      let client = Transfer.Client(server.channel)
      let all = try await client.listSchedules(ListSchedulesRequest(), server.signedIn()).schedules
      guard var schedule = all.first(where: { $0.name == name }) else {
        printError("There is no schedule named '\(name)' that you may see.")
        printError("Next: check the name with 'ferry schedule list'.")
        throw ExitCode(1)
      }
      change(&schedule)
      let ready = schedule
      let saved = try await client.saveSchedule(.with { $0.schedule = ready }, server.signedIn())
      print(options.json ? saved.jsonString() : said(saved))
    }
  }
}
