// ls and connection: what is in the buckets, and how FileFerry gets at them.
import ArgumentParser
import FerryAPI
import RPC

struct List: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "Lists buckets, or a bucket's folders and objects.",
    discussion: "Examples: ferry ls; ferry ls s3://exports/; ferry ls s3://exports/2026/")
  @OptionGroup var options: ServerOptions
  @Argument(help: "s3://BUCKET/PREFIX. Without it the buckets are listed.") var location: String?
  @Option(help: "Storage connection.") var connection: String?
  @Flag(help: "Everything under the prefix, not only its own level.") var recursive = false

  func run() async throws {
    try await Server.run(options) { server in
      let client = StorageBroker.Client(server.channel)
      if let location {
        try await objects(Locations.source(location, connection: connection), client, server)
      } else {
        var token = ""
        repeat {
          let page = try await client.listBuckets(
            .with {
              $0.connection = connection ?? "default"
              $0.pageToken = token
            }, server.signedIn())
          for bucket in page.buckets { print(options.json ? bucket.jsonString() : bucket.name) }
          token = page.nextPageToken
        } while !token.isEmpty
      }
    }
  }

  private func objects(_ source: Source, _ client: StorageBroker.Client, _ server: Server) async throws {
    var token = ""
    repeat {
      let page = try await client.listObjects(
        .with {
          $0.connection = source.connection
          $0.bucket = source.bucket
          $0.prefix = source.selections.first?.value ?? ""
          $0.delimiter = recursive ? "" : "/"
          $0.pageSize = 1000
          $0.pageToken = token
        }, server.signedIn())
      if options.json {
        print(page.jsonString())
      } else {
        for prefix in page.commonPrefixes { print("".padding(to: 33) + prefix) }
        for object in page.objects {
          print(Printing.bytes(object.size).padding(to: 12) + Printing.time(object.modifiedAt).padding(to: 21) + object.key)
        }
      }
      token = page.nextPageToken
    } while !token.isEmpty
  }
}

struct ConnectionCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "connection", abstract: "Storage connections: add, list, remove (role admin).",
    subcommands: [Add.self, All.self, Remove.self], defaultSubcommand: All.self)

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Adds or changes a connection.",
      discussion: """
        Examples:
          ferry connection add default --provider s3 --region eu-central-1 --access-key AKIA... --secret-key-file secret.txt
          ferry connection add lab --provider s3 --endpoint http://127.0.0.1:9000 --path-style --access-key lab
          ferry connection add azure --provider azure --account exports --secret-key-file key.txt
          ferry connection add folder --provider folder --root /srv/exports
        """)
    @OptionGroup var options: ServerOptions
    @Argument(help: "Name; 'default' is used where a request names none.") var name: String
    @Option(help: "s3, azure or folder.") var provider = "s3"
    @Option(help: "Endpoint URL of an S3 server that is not AWS, or of an account that is not on Azure's own host.")
    var endpoint = ""
    @Option(help: "Region.") var region = ""
    @Flag(help: "Bucket in the path: https://HOST/BUCKET/KEY.") var pathStyle = false
    @Flag(help: "Bucket in the host name: https://BUCKET.HOST/KEY.") var virtualHosted = false
    @Option(help: "Access key id.") var accessKey = ""
    @Option(
      help: """
        File with the secret access key or Azure's account key. Default: AWS_SECRET_ACCESS_KEY or AZURE_STORAGE_KEY, else it \
        is asked for.
        """)
    var secretKeyFile: String?
    @Option(help: "Azure storage account.") var account = ""
    @Option(help: "File with a SAS to use in place of Azure's account key.") var sasFile: String?
    @Option(help: "Folder whose directories are the buckets, for the provider 'folder'.") var root = ""

    func validate() throws {
      if provider == "folder", root.isEmpty { throw ValidationError("The provider 'folder' needs --root FOLDER.") }
      if provider == "s3", accessKey.isEmpty { throw ValidationError("The provider 's3' needs --access-key ID.") }
      if provider == "azure", account.isEmpty { throw ValidationError("The provider 'azure' needs --account NAME.") }
      if pathStyle, virtualHosted { throw ValidationError("Choose one of --path-style and --virtual-hosted.") }
    }

    func run() async throws {
      let secret =
        switch provider {
        case "s3":
          try Secret.password(file: secretKeyFile, environment: "AWS_SECRET_ACCESS_KEY", prompt: "Secret access key:")
        case "azure":
          try Secret.password(
            file: sasFile ?? secretKeyFile, environment: "AZURE_STORAGE_KEY", prompt: "Account key:")
        default: ""
        }
      try await Server.run(options) { server in
        let saved = try await StorageBroker.Client(server.channel).saveConnection(
          .with {
            $0.connection = .with {
              $0.name = name
              $0.provider = provider
              $0.accessKeyID = accessKey
              if provider == "folder" {
                $0.folder = .with { $0.root = root }
              } else if provider == "azure" {
                $0.azureBlob = .with { ($0.account, $0.endpoint) = (account, endpoint) }
              } else {
                $0.s3 = .with {
                  $0.endpoint = endpoint
                  $0.region = region
                  $0.addressingStyle = pathStyle ? .path : virtualHosted ? .virtualHosted : .unspecified
                }
              }
            }
            if provider != "azure" {
              $0.secretAccessKey = secret
            } else if sasFile == nil {
              $0.accountKey = secret
            } else {
              $0.sharedAccessSignature = secret
            }
          }, server.signedIn())
        print(options.json ? saved.jsonString() : "Saved connection \(saved.name).")
      }
    }
  }

  struct All: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "Lists connections.", discussion: "Example: ferry connection list")
    @OptionGroup var options: ServerOptions

    func run() async throws {
      try await Server.run(options) { server in
        let list = try await StorageBroker.Client(server.channel).listConnections(
          ListConnectionsRequest(), server.signedIn())
        guard !options.json else { return print(list.jsonString()) }
        Printing.table(
          ["NAME", "PROVIDER", "WHERE", "ACCESS KEY OR ACCOUNT"],
          list.connections.map { connection in
            let endpoint =
              connection.s3.map { $0.endpoint.isEmpty ? "AWS " + $0.region : $0.endpoint }
              ?? connection.azureBlob.map { $0.endpoint.isEmpty ? "Azure " + $0.account : $0.endpoint }
            return [
              connection.name, connection.provider, endpoint ?? connection.folder?.root ?? "",
              connection.azureBlob?.account ?? connection.accessKeyID,
            ]
          })
      }
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Removes a connection.", discussion: "Example: ferry connection remove lab")
    @OptionGroup var options: ServerOptions
    @Argument(help: "Its name.") var name: String

    func run() async throws {
      try await Server.run(options) { server in
        _ = try await StorageBroker.Client(server.channel).deleteConnection(.with { $0.name = name }, server.signedIn())
        print("Removed connection \(name).")
      }
    }
  }
}
