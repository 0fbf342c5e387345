// The echo service on C++ gRPC, in both of its fast ways: the async API on one completion queue, and the callback API.
// `server async|callback PORT` prints {"port": N} once it listens on loopback. No interceptors, no checks: gRPC alone.
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "echo.grpc.pb.h"

namespace {

using bench::Echo;
using bench::FeedRequest;
using bench::Msg;
using grpc::ServerCompletionQueue;
using grpc::Status;

// Calls that wait for a caller. One is put back for each that is taken.
constexpr int kWaitingCalls = 200;

// One step of a call on the completion queue.
class Step {
 public:
  virtual ~Step() = default;
  virtual void proceed(bool ok) = 0;
};

class SayStep final : public Step {
 public:
  SayStep(Echo::AsyncService* service, ServerCompletionQueue* queue)
      : service_(service), queue_(queue), writer_(&context_) {
    service_->RequestSay(&context_, &message_, &writer_, queue_, queue_, this);
  }

  void proceed(bool ok) override {
    if (!ok || answered_) {
      delete this;
      return;
    }
    new SayStep(service_, queue_);
    answered_ = true;
    // The question is the answer: nothing is copied.
    writer_.Finish(message_, Status::OK, this);
  }

 private:
  Echo::AsyncService* service_;
  ServerCompletionQueue* queue_;
  grpc::ServerContext context_;
  Msg message_;
  grpc::ServerAsyncResponseWriter<Msg> writer_;
  bool answered_ = false;
};

class FeedStep final : public Step {
 public:
  FeedStep(Echo::AsyncService* service, ServerCompletionQueue* queue)
      : service_(service), queue_(queue), writer_(&context_) {
    service_->RequestFeed(&context_, &request_, &writer_, queue_, queue_, this);
  }

  void proceed(bool ok) override {
    if (!ok || finished_) {
      delete this;
      return;
    }
    if (!taken_) {
      taken_ = true;
      new FeedStep(service_, queue_);
      message_.mutable_payload()->assign(request_.size(), 'f');
    }
    if (sent_ < request_.count()) {
      ++sent_;
      writer_.Write(message_, this);
    } else {
      finished_ = true;
      writer_.Finish(Status::OK, this);
    }
  }

 private:
  Echo::AsyncService* service_;
  ServerCompletionQueue* queue_;
  grpc::ServerContext context_;
  FeedRequest request_;
  Msg message_;
  grpc::ServerAsyncWriter<Msg> writer_;
  int sent_ = 0;
  bool taken_ = false;
  bool finished_ = false;
};

class Feed final : public grpc::ServerWriteReactor<Msg> {
 public:
  explicit Feed(const FeedRequest& request) : left_(request.count()) {
    message_.mutable_payload()->assign(request.size(), 'f');
    next();
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      next();
    } else {
      Finish(Status(grpc::StatusCode::CANCELLED, "the reader is gone"));
    }
  }

  void OnDone() override { delete this; }

 private:
  void next() {
    if (left_-- > 0) {
      StartWrite(&message_);
    } else {
      Finish(Status::OK);
    }
  }

  Msg message_;
  int left_;
};

class CallbackEcho final : public Echo::CallbackService {
  grpc::ServerUnaryReactor* Say(grpc::CallbackServerContext* context, const Msg* question, Msg* answer) override {
    answer->set_payload(question->payload());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(Status::OK);
    return reactor;
  }

  grpc::ServerWriteReactor<Msg>* Feed(grpc::CallbackServerContext*, const FeedRequest* request) override {
    return new ::Feed(*request);
  }
};

bool tell(const std::unique_ptr<grpc::Server>& server, int port) {
  if (!server || port == 0) {
    std::fprintf(stderr, "the port cannot be listened on\n");
    return false;
  }
  std::printf("{\"port\": %d}\n", port);
  std::fflush(stdout);
  return true;
}

}  // namespace

int main(int count, char** words) {
  const std::string api = count == 3 ? words[1] : "";
  if (api != "async" && api != "callback") {
    std::fprintf(stderr, "usage: server async|callback PORT\n");
    return 64;
  }
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(std::string("127.0.0.1:") + words[2], grpc::InsecureServerCredentials(), &port);
  if (api == "callback") {
    CallbackEcho service;
    builder.RegisterService(&service);
    const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (!tell(server, port)) return 1;
    server->Wait();
    return 0;
  }
  Echo::AsyncService service;
  builder.RegisterService(&service);
  const std::unique_ptr<ServerCompletionQueue> queue = builder.AddCompletionQueue();
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (!tell(server, port)) return 1;
  for (int i = 0; i < kWaitingCalls; ++i) {
    new SayStep(&service, queue.get());
    new FeedStep(&service, queue.get());
  }
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) static_cast<Step*>(tag)->proceed(ok);
  return 0;
}
