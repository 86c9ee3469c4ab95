#include "program.h"

#include <bpf/bpf.h>
#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "addon.h"
#include "args.h"
#include "error.h"
#include "link.h"
#include "map.h"

namespace podwire {
namespace {

// Room for what a program may add to a packet in BPF_PROG_TEST_RUN.
constexpr size_t kTestRunRoom = 4096;

// These are test-run for their effects only: the kernel refuses output buffers.
bool HasNoOutput(bpf_prog_type type) {
  return type == BPF_PROG_TYPE_RAW_TRACEPOINT || type == BPF_PROG_TYPE_TRACING ||
         type == BPF_PROG_TYPE_SYSCALL;
}

}  // namespace

Napi::Function Program::Define(Napi::Env env) {
  return DefineClass(env, "BpfProgram",
                     {
                         InstanceAccessor<&Program::GetName>("name"),
                         InstanceAccessor<&Program::GetFd>("fd"),
                         InstanceMethod<&Program::GetInfo>("info"),
                         InstanceMethod<&Program::AttachCgroup>("attachCgroup"),
                         InstanceMethod<&Program::AttachNetns>("attachNetns"),
                         InstanceMethod<&Program::AttachTracing>("attachTracing"),
                         InstanceMethod<&Program::AttachIter>("attachIter"),
                         InstanceMethod<&Program::AttachSockmap>("attachSockmap"),
                         InstanceMethod<&Program::DetachSockmap>("detachSockmap"),
                         InstanceMethod<&Program::Pin>("pin"),
                         InstanceMethod<&Program::TestRun>("testRun"),
                     });
}

Napi::Object Program::Create(Napi::Env env, Source source) {
  return Construct(env, &AddonData::program, source);
}

Program& Program::From(const Napi::Value& value) {
  return podwire::Unwrap<Program>(value, &AddonData::program, "BpfProgram");
}

Program::Program(const Napi::CallbackInfo& info)
    : ObjectWrap(info), source_(TakeSource<Source>(info)) {}

int Program::Fd() const {
  const int fd = source_.object->Get() != nullptr ? bpf_program__fd(source_.program) : -1;
  if (fd < 0) throw Refusal(Env(), EBADF, "bpf_program__fd", Label() + " (closed or not loaded)");
  return fd;
}

Napi::Value Program::GetName(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), source_.name);
}

Napi::Value Program::GetFd(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Fd());
}

Napi::Value Program::GetInfo(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bpf_prog_info program = {};
  uint32_t length = sizeof program;
  const int error = bpf_obj_get_info_by_fd(Fd(), &program, &length);
  if (error != 0) throw Refusal(env, error, "bpf_obj_get_info_by_fd", Label());
  char tag[2 * sizeof program.tag + 1];
  for (size_t i = 0; i < sizeof program.tag; i++) {
    snprintf(tag + 2 * i, 3, "%02x", program.tag[i]);
  }
  auto result = Napi::Object::New(env);
  result.Set("id", program.id);
  result.Set("name", program.name);
  result.Set("type", program.type);
  result.Set("tag", tag);
  result.Set("runTimeNs", Napi::BigInt::New(env, static_cast<uint64_t>(program.run_time_ns)));
  result.Set("runCount", Napi::BigInt::New(env, static_cast<uint64_t>(program.run_cnt)));
  return result;
}

Napi::Value Program::AttachAt(const std::string& path, const char* syscall,
                              bpf_link* (*attach)(const bpf_program*, int)) {
  Fd();
  const UniqueFd target(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (target.Get() < 0) throw Refusal(Env(), errno, "open", path);
  LibbpfLog log;
  bpf_link* link = attach(source_.program, target.Get());
  if (link == nullptr) {
    throw Refusal(Env(), errno, syscall, Label() + " to " + path, log.Text());
  }
  return Link::Create(Env(), {LinkPointer(link), source_.name});
}

Napi::Value Program::AttachCgroup(const Napi::CallbackInfo& info) {
  return AttachAt(info[0].As<Napi::String>(), "bpf_program__attach_cgroup",
                  bpf_program__attach_cgroup);
}

Napi::Value Program::AttachNetns(const Napi::CallbackInfo& info) {
  return AttachAt(info[0].As<Napi::String>(), "bpf_program__attach_netns",
                  bpf_program__attach_netns);
}

Napi::Value Program::AttachTracing(const Napi::CallbackInfo& info) {
  Fd();
  LibbpfLog log;
  bpf_link* link = bpf_program__attach(source_.program);
  if (link == nullptr) {
    throw Refusal(info.Env(), errno, "bpf_program__attach", Label(), log.Text());
  }
  return Link::Create(info.Env(), {LinkPointer(link), source_.name});
}

Napi::Value Program::AttachIter(const Napi::CallbackInfo& info) {
  Fd();
  bpf_iter_link_info over = {};
  LIBBPF_OPTS(bpf_iter_attach_opts, options);
  if (!info[0].IsUndefined()) {
    over.map.map_fd = static_cast<uint32_t>(Map::From(info[0]).Fd());
    options.link_info = &over;
    options.link_info_len = sizeof over;
  }
  LibbpfLog log;
  bpf_link* link = bpf_program__attach_iter(source_.program, &options);
  if (link == nullptr) {
    throw Refusal(info.Env(), errno, "bpf_program__attach_iter", Label(), log.Text());
  }
  return Link::Create(info.Env(), {LinkPointer(link), source_.name});
}

void Program::AttachSockmap(const Napi::CallbackInfo& info) {
  const int fd = Fd();
  const Map& map = Map::From(info[0]);
  const int error =
      bpf_prog_attach(fd, map.Fd(), bpf_program__expected_attach_type(source_.program), 0);
  if (error != 0) {
    throw Refusal(info.Env(), error, "bpf_prog_attach", Label() + " to " + map.Label());
  }
}

void Program::DetachSockmap(const Napi::CallbackInfo& info) {
  const int fd = Fd();
  const Map& map = Map::From(info[0]);
  const int error =
      bpf_prog_detach2(fd, map.Fd(), bpf_program__expected_attach_type(source_.program));
  if (error != 0) {
    throw Refusal(info.Env(), error, "bpf_prog_detach2", Label() + " from " + map.Label());
  }
}

void Program::Pin(const Napi::CallbackInfo& info) {
  const auto path = info[0].As<Napi::String>().Utf8Value();
  const int error = bpf_obj_pin(Fd(), path.c_str());
  if (error != 0) throw Refusal(info.Env(), error, "bpf_obj_pin", Label() + " at " + path);
}

Napi::Value Program::TestRun(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = Fd();
  auto request = info[0].As<Napi::Object>();
  const bool output = !HasNoOutput(bpf_program__type(source_.program));
  std::vector<uint8_t> data_out, ctx_out;
  LIBBPF_OPTS(bpf_test_run_opts, run);
  if (request.Has("data")) {
    const auto data = Bytes(request.Get("data"), "data");
    run.data_in = data.data();
    run.data_size_in = static_cast<uint32_t>(data.size());
    if (output) data_out.resize(data.size() + kTestRunRoom);
  }
  if (request.Has("ctx")) {
    const auto ctx = Bytes(request.Get("ctx"), "ctx");
    run.ctx_in = ctx.data();
    run.ctx_size_in = static_cast<uint32_t>(ctx.size());
    if (output) ctx_out.resize(ctx.size());
  }
  if (!data_out.empty()) {
    run.data_out = data_out.data();
    run.data_size_out = static_cast<uint32_t>(data_out.size());
  }
  if (!ctx_out.empty()) {
    run.ctx_out = ctx_out.data();
    run.ctx_size_out = static_cast<uint32_t>(ctx_out.size());
  }
  run.repeat = static_cast<int>(OptionalUint32(request.Get("repeat"), output ? 1 : 0));
  const int error = bpf_prog_test_run_opts(fd, &run);
  if (error != 0) throw Refusal(env, error, "bpf_prog_test_run_opts", Label());
  data_out.resize(std::min<size_t>(data_out.size(), run.data_size_out));
  ctx_out.resize(std::min<size_t>(ctx_out.size(), run.ctx_size_out));
  auto result = Napi::Object::New(env);
  result.Set("retval", run.retval);
  result.Set("durationNs", run.duration);
  result.Set("dataOut", Copy(env, data_out));
  result.Set("ctxOut", Copy(env, ctx_out));
  return result;
}

}  // namespace podwire
