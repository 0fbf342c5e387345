// ferry: the command line. Each command is one file or a few lines in a file by theme; what they share is in Server.swift
// (who to talk to, as whom) and Printing.swift (how answers look).
import ArgumentParser

@main
struct Ferry: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ferry",
    abstract: "Delivers files from cloud storage to customers' servers, with a ticket, an audit trail and a proof.",
    discussion: """
      First steps:
        ferry up                                   start FileFerry on this machine
        ferry login --user admin                   sign in
        ferry connection add default --provider s3 --endpoint https://s3.example.com --access-key KEY
        ferry deliver s3://bucket/key sftp://user@host/dir/ --watch

      Exit codes: 0 done, 1 failed, 3 not signed in or not allowed, 4 FileFerry cannot be reached, 64 wrong usage.
      """,
    subcommands: [
      Up.self, Login.self, Logout.self, WhoAmI.self, Deliver.self, Plan.self, Status.self, History.self, Watch.self,
      Pause.self, Resume.self, Cancel.self, Retry.self, ScheduleCommand.self, ReceiptCommand.self,
      ReceiptKeyCommand.self, Verify.self, List.self, ConnectionCommand.self, DestinationCommand.self,
      TicketCommand.self, UserCommand.self, NotificationsCommand.self, Chat.self, SystemCommand.self,
      Doctor.self,
    ])
}
