// Refusals of the kernel and of libbpf as JS errors (NativeError in src/kernel/binding.ts).
#ifndef PODWIRE_NATIVE_ERROR_H_
#define PODWIRE_NATIVE_ERROR_H_

#include <napi.h>

#include <string>

namespace podwire {

// Collects what libbpf prints on this thread while it lives.  libbpf has one print callback for the
// whole process, so the callback looks up the collector of the calling thread: a log belongs to its
// call, also when several workers load objects at once.
class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  // Routes libbpf's messages here; any number of calls, from any thread.
  static void Install();

  void Append(std::string_view message);
  // The last 64 KiB: a verifier log ends with the reason.
  std::string Text() const;

 private:
  LibbpfLog* outer_;
  std::string text_;
};

// An Error with code, errno, syscall and log.  `error` may have either sign.
Napi::Error Refusal(Napi::Env env, int error, const std::string& syscall, const std::string& object,
                    const std::string& log = "");

}  // namespace podwire

#endif  // PODWIRE_NATIVE_ERROR_H_
