// The transport of one thread, driven by its libuv loop: one wake-up, then rounds of poll, JS and
// flush while there is work.
#ifndef PODWIRE_NATIVE_TRANSPORT_H_
#define PODWIRE_NATIVE_TRANSPORT_H_

#include <napi.h>
#include <uv.h>

#include <memory>

#include "transport_core.h"

namespace podwire {

class Transport : public Napi::ObjectWrap<Transport> {
 public:
  struct Source {
    Napi::Function on_events;
  };

  static Napi::Function Define(Napi::Env env);
  static void ExportFunctions(Napi::Env env, Napi::Object exports);

  explicit Transport(const Napi::CallbackInfo& info);
  ~Transport() override;

 private:
  // After so many the loop's other handles have their turn.
  static constexpr int kRoundsPerWake = 8;

  // libuv's handles outlive the Transport until the loop has closed them.
  struct Handles {
    uv_poll_t poll;
    uv_prepare_t prepare;  // flushes what timers, messages and promises have asked for
    int open;
    Transport* owner;
    napi_async_cleanup_hook_handle hook;
  };

  static void OnReadable(uv_poll_t* handle, int status, int events);
  static void OnPrepare(uv_prepare_t* handle);
  static void OnTeardown(napi_async_cleanup_hook_handle hook, void* handles);
  static void OnClosed(uv_handle_t* handle);

  Napi::Value Listen(const Napi::CallbackInfo& info);
  Napi::Value Connect(const Napi::CallbackInfo& info);
  Napi::Value Secure(const Napi::CallbackInfo& info);
  Napi::Value Peer(const Napi::CallbackInfo& info);
  void Flush(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  TransportCore& Core(Napi::Env env, const char* call);
  void StartHandles(Napi::Env env);
  // false: the thread is told to end
  bool Tell(uint32_t events);
  // What is waited for keeps the loop alive.
  void KeepAlive();
  void Stop();

  Napi::Reference<Napi::ArrayBuffer> memory_;
  Napi::Reference<Napi::ArrayBuffer> control_;
  Napi::FunctionReference on_events_;
  std::unique_ptr<Napi::AsyncContext> context_;
  std::unique_ptr<TransportCore> core_;
  Handles* handles_ = nullptr;  // nullptr: closed
  bool referenced_ = false;
};

}  // namespace podwire

#endif  // PODWIRE_NATIVE_TRANSPORT_H_
