#include "ringbuf.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "addon.h"
#include "args.h"
#include "error.h"
#include "map.h"

namespace podwire {
namespace {

// binding.openRingBuffer(map, onRecords)
Napi::Value OpenRingBuffer(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Map& map = Map::From(info[0]);
  if (!info[1].IsFunction()) throw Napi::TypeError::New(env, "onRecords is not a function");
  RingBuffer::Source source;
  source.ring_bytes = map.Info().max_entries;
  /* of its own: the ring goes on when the map's handle, or its object, is closed */
  source.map_fd.Reset(fcntl(map.Fd(), F_DUPFD_CLOEXEC, 3));
  if (source.map_fd.Get() < 0) throw Refusal(env, errno, "fcntl", map.Label());
  source.on_records = info[1].As<Napi::Function>();
  return Construct(env, &AddonData::ring_buffer, source);
}

}  // namespace

Napi::Function RingBuffer::Define(Napi::Env env) {
  return DefineClass(env, "RingBuffer",
                     {
                         InstanceMethod<&RingBuffer::Consume>("consume"),
                         InstanceMethod<&RingBuffer::Close>("close"),
                     });
}

void RingBuffer::ExportFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("openRingBuffer", Napi::Function::New<OpenRingBuffer>(env, "openRingBuffer"));
}

RingBuffer::RingBuffer(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  Napi::Env env = info.Env();
  Source&& source = TakeSource<Source>(info);
  map_fd_ = std::move(source.map_fd);
  ring_bytes_ = source.ring_bytes;
  LibbpfLog log;
  ring_.reset(ring_buffer__new(map_fd_.Get(), OnSample, this, nullptr));
  if (ring_ == nullptr) throw Refusal(env, errno, "ring_buffer__new", "", log.Text());
  on_records_ = Napi::Persistent(source.on_records);
  context_ = std::make_unique<Napi::AsyncContext>(env, "podwire:RingBuffer");
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env, &loop) != napi_ok) throw Napi::Error::New(env, "no event loop");
  auto poll = std::make_unique<Poll>();
  const int error = uv_poll_init(loop, &poll->handle, ring_buffer__epoll_fd(ring_.get()));
  if (error != 0) throw Refusal(env, error, "uv_poll_init", "ring buffer");
  poll_ = poll.release();
  poll_->owner = this;
  poll_->handle.data = poll_;
  napi_add_async_cleanup_hook(env, OnTeardown, poll_, &poll_->hook);
  uv_unref(reinterpret_cast<uv_handle_t*>(&poll_->handle));
  uv_poll_start(&poll_->handle, UV_READABLE, OnReadable);
  /* An open ring delivers whether or not somebody holds the JS object: close() ends it. */
  Ref();
}

RingBuffer::~RingBuffer() { Stop(); }

int RingBuffer::OnSample(void* self, void* data, size_t size) {
  auto& ring = *static_cast<RingBuffer*>(self);
  const size_t at = ring.batch_.size();
  ring.batch_.resize(at + 8 + ((size + 7) & ~size_t{7}));
  const auto length = static_cast<uint32_t>(size);
  memcpy(ring.batch_.data() + at, &length, sizeof length);
  memcpy(ring.batch_.data() + at + 8, data, size);
  ring.records_++;
  /* The record counts as consumed all the same; a writer faster than us must not hold the loop. */
  return ring.batch_.size() < ring.ring_bytes_ ? 0 : -ENOBUFS;
}

uint32_t RingBuffer::Collect() {
  records_ = 0;
  ring_buffer__consume(ring_.get());
  return records_;
}

Napi::Value RingBuffer::TakeBatch() {
  auto batch = Copy(Env(), batch_);
  batch_.clear();
  if (batch_.capacity() > (1 << 20)) batch_.shrink_to_fit();
  return batch;
}

void RingBuffer::OnReadable(uv_poll_t* handle, int, int) {
  RingBuffer* self = static_cast<Poll*>(handle->data)->owner;
  napi_env env = self->Env();
  Napi::HandleScope scope(env);
  if (self->Collect() == 0) return;
  try {
    const Napi::Value batch = self->TakeBatch();
    self->on_records_.MakeCallback(self->Value(), {batch}, *self->context_);
  } catch (const Napi::Error& thrown) {
    /* node's uncaughtException; does nothing in a worker that is being terminated */
    napi_fatal_exception(env, thrown.Value());
  }
}

Napi::Value RingBuffer::Consume(const Napi::CallbackInfo& info) {
  if (poll_ == nullptr) throw Refusal(info.Env(), EBADF, "ring_buffer__consume", "ring (closed)");
  const uint32_t records = Collect();
  if (records > 0) on_records_.Call(Value(), {TakeBatch()});
  return Napi::Number::New(info.Env(), records);
}

void RingBuffer::Close(const Napi::CallbackInfo&) {
  if (poll_ == nullptr) return;
  Stop();
  Unref();
}

void RingBuffer::Stop() {
  if (poll_ == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_->handle), OnClosed);
  poll_->owner = nullptr;
  poll_ = nullptr;
  ring_.reset();
  map_fd_.Reset();
  on_records_.Reset();
  context_.reset();
}

/* The environment ends (exit of a worker or of the process): the loop must not keep the handle. */
void RingBuffer::OnTeardown(napi_async_cleanup_hook_handle, void* poll) {
  RingBuffer* owner = static_cast<Poll*>(poll)->owner;
  if (owner != nullptr) owner->Stop();
}

void RingBuffer::OnClosed(uv_handle_t* handle) {
  auto* poll = static_cast<Poll*>(handle->data);
  napi_remove_async_cleanup_hook(poll->hook); /* at teardown also: node waits for this */
  delete poll;
}

}  // namespace podwire
