// C++ gRPC's client, as fast as its async API goes on one completion queue: the measure of `scripts/bench client`.
// Keeps STREAMS calls outstanding on each of CONNECTIONS connections for SECONDS, compares each answer with what was
// sent, and prints one line of JSON: calls, seconds, its own CPU seconds, and the latency of a call.
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "echo.grpc.pb.h"

namespace {

using bench::Echo;
using bench::Msg;
using Clock = std::chrono::steady_clock;

constexpr auto kConnectTimeout = std::chrono::seconds(10);
constexpr auto kCallTimeout = std::chrono::seconds(10);
// A well-formed W3C trace context. The same for all calls, as nobody here keeps a trace.
constexpr char kTraceParent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

struct Load {
  Msg question;
  std::string authorization;  // empty: no metadata is sent
  grpc::CompletionQueue queue;
  Clock::time_point end;
  std::vector<std::uint32_t> latencies_ns;
};

// One of the outstanding calls: when it is answered it is made again, until the time is over.
class Call {
 public:
  Call(Load* load, Echo::Stub* stub) : load_(load), stub_(stub) {}

  void start() {
    reader_.reset();
    context_.emplace();
    context_->set_deadline(std::chrono::system_clock::now() + kCallTimeout);
    if (!load_->authorization.empty()) {
      context_->AddMetadata("authorization", load_->authorization);
      context_->AddMetadata("traceparent", kTraceParent);
    }
    began_ = Clock::now();
    reader_ = stub_->AsyncSay(&*context_, load_->question, &load_->queue);
    reader_->Finish(&answer_, &status_, this);
  }

  // Whether the call was made again.
  bool answered() {
    const Clock::time_point now = Clock::now();
    if (!status_.ok()) fail("a call failed: " + status_.error_message());
    if (answer_.payload() != load_->question.payload()) fail("an answer is not what was sent");
    load_->latencies_ns.push_back(static_cast<std::uint32_t>((now - began_) / std::chrono::nanoseconds(1)));
    if (now >= load_->end) return false;
    start();
    return true;
  }

 private:
  Load* load_;
  Echo::Stub* stub_;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Msg>> reader_;
  Msg answer_;
  grpc::Status status_;
  Clock::time_point began_;
};

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + time.tv_usec / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double percentile_us(std::vector<std::uint32_t>& values, double part) {
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place / 1e3;
}

}  // namespace

int main(int count, char** words) {
  std::map<std::string, std::string> options{{"--token", ""}};
  for (int i = 1; i + 1 < count; i += 2) options[words[i]] = words[i + 1];
  for (const char* name : {"--host", "--port", "--connections", "--streams", "--size", "--seconds"}) {
    if (options[name].empty()) fail(std::string(name) + " is missing");
  }
  const int connections = std::stoi(options["--connections"]);
  const int streams = std::stoi(options["--streams"]);

  Load load;
  std::string* payload = load.question.mutable_payload();
  for (int i = 0; i < std::stoi(options["--size"]); ++i) payload->push_back(static_cast<char>(i & 255));
  if (!options["--token"].empty()) load.authorization = "Bearer " + options["--token"];

  std::vector<std::unique_ptr<Echo::Stub>> stubs;
  for (int i = 0; i < connections; ++i) {
    grpc::ChannelArguments arguments;
    // Channels that are alike share a connection.
    arguments.SetInt("bench.connection", i);
    const auto channel = grpc::CreateCustomChannel(
        options["--host"] + ":" + options["--port"], grpc::InsecureChannelCredentials(), arguments);
    const auto deadline = std::chrono::system_clock::now() + kConnectTimeout;
    if (!channel->WaitForConnected(deadline)) fail("the server cannot be reached");
    stubs.push_back(Echo::NewStub(channel));
  }

  const Clock::time_point began = Clock::now();
  load.end = began + std::chrono::nanoseconds(static_cast<std::int64_t>(std::stod(options["--seconds"]) * 1e9));
  std::vector<std::unique_ptr<Call>> calls;
  for (const auto& stub : stubs) {
    for (int i = 0; i < streams; ++i) calls.push_back(std::make_unique<Call>(&load, stub.get()));
  }
  for (const auto& call : calls) call->start();
  std::size_t outstanding = calls.size();
  void* tag = nullptr;
  bool ok = false;
  while (outstanding > 0 && load.queue.Next(&tag, &ok)) {
    if (!static_cast<Call*>(tag)->answered()) --outstanding;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
  const double cpu = cpu_seconds();
  std::vector<std::uint32_t>& latencies = load.latencies_ns;
  const double mean_us = std::accumulate(latencies.begin(), latencies.end(), 0.0) / latencies.size() / 1e3;
  std::printf(
      "{\"calls\": %zu, \"seconds\": %.4f, \"cpu_seconds\": %.4f, "
      "\"mean_us\": %.2f, \"p50_us\": %.2f, \"p99_us\": %.2f}\n",
      latencies.size(), seconds, cpu, mean_us, percentile_us(latencies, 0.5), percentile_us(latencies, 0.99));
  return 0;
}
