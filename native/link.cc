#include "link.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "addon.h"
#include "args.h"
#include "error.h"
#include "handle.h"
#include "netns.h"
#include "program.h"

namespace podwire {
namespace {

constexpr size_t kReadBytes = 64 * 1024;

// binding.openPinnedLink(path)
Napi::Value OpenPinnedLink(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto path = info[0].As<Napi::String>().Utf8Value();
  LibbpfLog log;
  LinkPointer link(bpf_link__open(path.c_str()));
  if (link == nullptr) throw Refusal(env, errno, "bpf_link__open", path, log.Text());
  return Link::Create(env, {std::move(link), path});
}

}  // namespace

Napi::Function Link::Define(Napi::Env env) {
  return DefineClass(env, "BpfLink",
                     {
                         InstanceAccessor<&Link::GetFd>("fd"),
                         InstanceMethod<&Link::GetId>("id"),
                         InstanceMethod<&Link::Pin>("pin"),
                         InstanceMethod<&Link::Update>("update"),
                         InstanceMethod<&Link::Detach>("detach"),
                         InstanceMethod<&Link::ReadIter>("readIter"),
                         InstanceMethod<&Link::Close>("close"),
                     });
}

void Link::ExportFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("openPinnedLink", Napi::Function::New<OpenPinnedLink>(env, "openPinnedLink"));
}

Napi::Object Link::Create(Napi::Env env, Source source) {
  return Construct(env, &AddonData::link, source);
}

Link::Link(const Napi::CallbackInfo& info) : ObjectWrap(info), source_(TakeSource<Source>(info)) {}

int Link::Fd() const {
  if (source_.link == nullptr) throw Refusal(Env(), EBADF, "bpf_link__fd", Label() + " (closed)");
  return bpf_link__fd(source_.link.get());
}

Napi::Value Link::GetFd(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Fd());
}

Napi::Value Link::GetId(const Napi::CallbackInfo& info) {
  bpf_link_info link = {};
  uint32_t length = sizeof link;
  const int error = bpf_obj_get_info_by_fd(Fd(), &link, &length);
  if (error != 0) throw Refusal(info.Env(), error, "bpf_obj_get_info_by_fd", Label());
  return Napi::Number::New(info.Env(), link.id);
}

void Link::Pin(const Napi::CallbackInfo& info) {
  const auto path = info[0].As<Napi::String>().Utf8Value();
  const int error = bpf_obj_pin(Fd(), path.c_str());
  if (error != 0) throw Refusal(info.Env(), error, "bpf_obj_pin", Label() + " at " + path);
}

void Link::Update(const Napi::CallbackInfo& info) {
  const Program& program = Program::From(info[0]);
  const int error = bpf_link_update(Fd(), program.Fd(), nullptr);
  if (error != 0) {
    throw Refusal(info.Env(), error, "bpf_link_update", Label() + " with " + program.Label());
  }
}

void Link::Detach(const Napi::CallbackInfo& info) {
  const int error = bpf_link_detach(Fd());
  if (error != 0) throw Refusal(info.Env(), error, "bpf_link_detach", Label());
}

Napi::Value Link::ReadIter(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int link_fd = Fd();
  std::vector<uint8_t> text;
  {
    /* iterators over sockets of a namespace take the one of the thread that makes them */
    const NetnsVisit visit(env, OptionalPath(info[0]));
    const UniqueFd iter(bpf_iter_create(link_fd));
    if (iter.Get() < 0) throw Refusal(env, iter.Get(), "bpf_iter_create", Label());
    for (size_t length = 0;;) {
      if (text.size() - length < kReadBytes) text.resize(2 * text.size() + kReadBytes);
      const ssize_t got = read(iter.Get(), text.data() + length, text.size() - length);
      /* EAGAIN: a million objects without output; the next call goes on there */
      if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (got < 0) throw Refusal(env, errno, "read", Label());
      length += static_cast<size_t>(got);
      if (got == 0) {
        text.resize(length);
        break;
      }
    }
  }
  return Copy(env, text);
}

void Link::Close(const Napi::CallbackInfo&) { source_.link.reset(); }

}  // namespace podwire
