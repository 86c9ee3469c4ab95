// RingBuffer: delivers the records of a BPF ring buffer to a JS callback from libuv's loop.
#ifndef PODWIRE_NATIVE_RINGBUF_H_
#define PODWIRE_NATIVE_RINGBUF_H_

#include <bpf/libbpf.h>
#include <napi.h>
#include <uv.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "handle.h"

namespace podwire {

class RingBuffer : public Napi::ObjectWrap<RingBuffer> {
 public:
  struct Source {
    UniqueFd map_fd;
    uint32_t ring_bytes = 0;
    Napi::Function on_records;
  };

  static Napi::Function Define(Napi::Env env);
  static void ExportFunctions(Napi::Env env, Napi::Object exports);

  explicit RingBuffer(const Napi::CallbackInfo& info);
  ~RingBuffer() override;

 private:
  // libuv's handle outlives the RingBuffer until the loop has closed it.
  struct Poll {
    uv_poll_t handle;
    RingBuffer* owner;
    napi_async_cleanup_hook_handle hook;
  };

  struct RingDeleter {
    void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
  };

  static int OnSample(void* self, void* data, size_t size);
  static void OnReadable(uv_poll_t* handle, int status, int events);
  static void OnTeardown(napi_async_cleanup_hook_handle hook, void* poll);
  static void OnClosed(uv_handle_t* handle);

  Napi::Value Consume(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  // Takes the records that wait (at most about one ring full) into batch_; their number.
  uint32_t Collect();
  Napi::Value TakeBatch();
  void Stop();

  UniqueFd map_fd_;
  uint32_t ring_bytes_;
  Napi::FunctionReference on_records_;
  std::unique_ptr<Napi::AsyncContext> context_;
  std::unique_ptr<ring_buffer, RingDeleter> ring_;
  Poll* poll_ = nullptr;  // nullptr: closed
  std::vector<uint8_t> batch_;
  uint32_t records_ = 0;
};

}  // namespace podwire

#endif  // PODWIRE_NATIVE_RINGBUF_H_
