#include "transport.h"

#include <cerrno>
#include <system_error>

#include "addon.h"
#include "error.h"
#include "tls_context.h"
#include "tls_peer.h"

namespace podwire {
namespace {

constexpr size_t kArenaBytes = TransportCore::kReadArena + TransportCore::kWriteArena;
constexpr size_t kEventWords = 4 * TransportCore::kMaxEvents;
constexpr size_t kOpWords = TransportCore::kOpsHead + 4 * TransportCore::kMaxOps;
constexpr size_t kControlBytes = 4 * (kEventWords + kOpWords) + SlotTable::kMaxSlots;

// binding.openTransport(onEvents)
Napi::Value OpenTransport(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) throw Napi::TypeError::New(info.Env(), "onEvents is not a function");
  Transport::Source source = {info[0].As<Napi::Function>()};
  return Construct(info.Env(), &AddonData::transport, source);
}

std::vector<std::string> Strings(const Napi::Value& value) {
  auto array = value.As<Napi::Array>();
  std::vector<std::string> strings(array.Length());
  for (uint32_t i = 0; i < strings.size(); i++) {
    strings[i] = array.Get(i).As<Napi::String>().Utf8Value();
  }
  return strings;
}

}  // namespace

Napi::Function Transport::Define(Napi::Env env) {
  return DefineClass(env, "Transport",
                     {
                         InstanceMethod<&Transport::Listen>("listen"),
                         InstanceMethod<&Transport::Connect>("connect"),
                         InstanceMethod<&Transport::Secure>("secure"),
                         InstanceMethod<&Transport::Peer>("peer"),
                         InstanceMethod<&Transport::Flush>("flush"),
                         InstanceMethod<&Transport::Close>("close"),
                     });
}

void Transport::ExportFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("openTransport", Napi::Function::New<OpenTransport>(env, "openTransport"));
}

Transport::Transport(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  Napi::Env env = info.Env();
  Source&& source = TakeSource<Source>(info);
  auto arena = Napi::ArrayBuffer::New(env, kArenaBytes);
  auto control = Napi::ArrayBuffer::New(env, kControlBytes);
  TransportCore::Memory memory;
  memory.arena = static_cast<uint8_t*>(arena.Data());
  memory.events = static_cast<int32_t*>(control.Data());
  memory.ops = memory.events + kEventWords;
  memory.blocked = reinterpret_cast<uint8_t*>(memory.ops + kOpWords);
  try {
    core_ = std::make_unique<TransportCore>(memory);
  } catch (const std::system_error& error) {
    throw Refusal(env, error.code().value(), "epoll_create1", "transport");
  }
  memory_ = Napi::Persistent(arena);
  control_ = Napi::Persistent(control);
  on_events_ = Napi::Persistent(source.on_events);
  context_ = std::make_unique<Napi::AsyncContext>(env, "podwire:Transport");
  Napi::Object self = Value();
  self.Set("arena", arena);
  self.Set("events", Napi::Int32Array::New(env, kEventWords, control, 0));
  self.Set("ops", Napi::Int32Array::New(env, kOpWords, control, 4 * kEventWords));
  self.Set("blocked",
           Napi::Uint8Array::New(env, SlotTable::kMaxSlots, control, 4 * (kEventWords + kOpWords)));
  self.Set("writeArena", static_cast<double>(TransportCore::kReadArena));
  self.Set("gap", static_cast<double>(TransportCore::kGap));
  StartHandles(env);
  /* An open transport works whether or not somebody holds the JS object: close() ends it. */
  Ref();
}

void Transport::StartHandles(Napi::Env env) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw Napi::Error::New(env, "no event loop");
  auto handles = std::make_unique<Handles>();
  const int error = uv_poll_init(loop, &handles->poll, core_->EpollFd());
  if (error != 0) throw Refusal(env, error, "uv_poll_init", "transport");
  uv_prepare_init(loop, &handles->prepare);
  handles->open = 2;
  handles->owner = this;
  handles_ = handles.release();
  handles_->poll.data = handles_;
  handles_->prepare.data = handles_;
  napi_add_async_cleanup_hook(env, OnTeardown, handles_, &handles_->hook);
  uv_unref(reinterpret_cast<uv_handle_t*>(&handles_->poll));
  uv_unref(reinterpret_cast<uv_handle_t*>(&handles_->prepare));
  uv_poll_start(&handles_->poll, UV_READABLE, OnReadable);
  uv_prepare_start(&handles_->prepare, OnPrepare);
}

Transport::~Transport() { Stop(); }

TransportCore& Transport::Core(Napi::Env env, const char* call) {
  if (core_ == nullptr) throw Refusal(env, EBADF, call, "transport (closed)");
  return *core_;
}

/* `self` may close, and its environment end, in Tell(). */
void Transport::OnReadable(uv_poll_t* handle, int, int) {
  auto* handles = static_cast<Handles*>(handle->data);
  Transport* self = handles->owner;
  Napi::HandleScope scope(self->Env());
  for (int round = 0; round < kRoundsPerWake && self->core_ != nullptr; round++) {
    if (self->core_->HasOps()) self->core_->Flush();
    const uint32_t events = self->core_->Poll();
    if (events == 0) break;
    if (!self->Tell(events)) return;
  }
  if (self->core_ == nullptr) return;
  if (self->core_->HasOps()) self->core_->Flush();
  self->core_->WakeIfPending();
  self->KeepAlive();
}

bool Transport::Tell(uint32_t events) {
  napi_env env = Env();
  Napi::HandleScope scope(env);
  try {
    on_events_.MakeCallback(Value(), {Napi::Number::New(env, events)}, *context_);
  } catch (const Napi::Error& thrown) {
    /* node's uncaughtException; does nothing in a worker that is being terminated */
    napi_fatal_exception(env, thrown.Value());
    return false;
  }
  return true;
}

void Transport::OnPrepare(uv_prepare_t* handle) {
  Transport* self = static_cast<Handles*>(handle->data)->owner;
  if (self->core_->HasOps()) self->core_->Flush();
  self->core_->WakeIfPending();
  self->KeepAlive();
}

void Transport::KeepAlive() {
  const bool live = core_->IsWaiting();
  if (live == referenced_) return;
  referenced_ = live;
  auto* poll = reinterpret_cast<uv_handle_t*>(&handles_->poll);
  if (live) {
    uv_ref(poll);
  } else {
    uv_unref(poll);
  }
}

// listen(fd): id
Napi::Value Transport::Listen(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const int32_t id = Core(info.Env(), "listen").Listen(fd);
  if (id < 0) throw Refusal(info.Env(), id, "listen", "fd " + std::to_string(fd));
  KeepAlive();
  return Napi::Number::New(info.Env(), id);
}

// connect(fd, address, port): id
Napi::Value Transport::Connect(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const auto address = info[1].As<Napi::String>().Utf8Value();
  const uint32_t port = info[2].As<Napi::Number>().Uint32Value();
  const int32_t id = Core(info.Env(), "connect").Connect(fd, address, static_cast<uint16_t>(port));
  if (id < 0) {
    throw Refusal(info.Env(), id, "connect", address + " port " + std::to_string(port));
  }
  KeepAlive();
  return Napi::Number::New(info.Env(), id);
}

// secure(id, context, accepted): false when that socket is gone
Napi::Value Transport::Secure(const Napi::CallbackInfo& info) {
  TransportCore& core = Core(info.Env(), "secure");
  const TlsContext& context = TlsContext::From(info[1]);
  const uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  return Napi::Boolean::New(info.Env(),
                            core.Secure(id, context.Get(), context.IsServer(), Strings(info[2])));
}

// peer(id): what the peer of a secured socket has proven
Napi::Value Transport::Peer(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const TlsSession* session = Core(env, "peer").Tls(info[0].As<Napi::Number>().Uint32Value());
  X509* certificate = session == nullptr ? nullptr : session->PeerCertificate();
  if (certificate == nullptr) return env.Undefined();
  const std::vector<std::string> ids = SpiffeIds(certificate);
  auto names = Napi::Array::New(env, ids.size());
  for (uint32_t i = 0; i < ids.size(); i++) names.Set(i, ids[i]);
  auto peer = Napi::Object::New(env);
  peer.Set("spiffe", ids.empty() ? "" : ids.front());
  peer.Set("spiffeIds", names);
  peer.Set("serial", SerialOf(certificate));
  peer.Set("issuerHash", IssuerHashOf(certificate));
  peer.Set("notAfter", NotAfterOf(certificate));
  return peer;
}

void Transport::Flush(const Napi::CallbackInfo&) {
  if (core_ != nullptr) core_->Flush();
}

void Transport::Close(const Napi::CallbackInfo&) {
  if (handles_ == nullptr) return;
  Stop();
  Unref();
}

void Transport::Stop() {
  if (handles_ == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&handles_->poll), OnClosed);
  uv_close(reinterpret_cast<uv_handle_t*>(&handles_->prepare), OnClosed);
  handles_->owner = nullptr;
  handles_ = nullptr;
  core_.reset();
  on_events_.Reset();
  memory_.Reset();
  control_.Reset();
  context_.reset();
}

/* The environment ends (exit of a worker or of the process): the loop must not keep the handles. */
void Transport::OnTeardown(napi_async_cleanup_hook_handle, void* handles) {
  Transport* owner = static_cast<Handles*>(handles)->owner;
  if (owner != nullptr) owner->Stop();
}

void Transport::OnClosed(uv_handle_t* handle) {
  auto* handles = static_cast<Handles*>(handle->data);
  if (--handles->open > 0) return;
  napi_remove_async_cleanup_hook(handles->hook); /* at teardown also: node waits for this */
  delete handles;
}

}  // namespace podwire
