#include "error.h"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string_view>

namespace podwire {
namespace {

constexpr size_t kLogBytes = 64 * 1024;
constexpr int kKernelNotSupported = 524;  // ENOTSUPP: in no header of user space

// The only state outside objects: it lives on the stack of the call in progress.
thread_local LibbpfLog* current_log = nullptr;

int Print(enum libbpf_print_level level, const char* format, va_list args) {
  if (level == LIBBPF_DEBUG || current_log == nullptr) return 0;
  va_list measured;
  va_copy(measured, args);
  const int length = vsnprintf(nullptr, 0, format, measured);
  va_end(measured);
  if (length <= 0) return 0;
  std::string message(static_cast<size_t>(length) + 1, '\0');
  vsnprintf(message.data(), message.size(), format, args);
  message.pop_back();
  current_log->Append(message);
  return length;
}

std::string CodeOf(int error) {
  static constexpr const char* kLibbpfNames[] = {
      "LIBBPF_ERRNO__LIBELF", "LIBBPF_ERRNO__FORMAT",   "LIBBPF_ERRNO__KVERSION",
      "LIBBPF_ERRNO__ENDIAN", "LIBBPF_ERRNO__INTERNAL", "LIBBPF_ERRNO__RELOC",
      "LIBBPF_ERRNO__LOAD",   "LIBBPF_ERRNO__VERIFY",   "LIBBPF_ERRNO__PROG2BIG",
      "LIBBPF_ERRNO__KVER",   "LIBBPF_ERRNO__PROGTYPE", "LIBBPF_ERRNO__WRNGPID",
      "LIBBPF_ERRNO__INVSEQ", "LIBBPF_ERRNO__NLPARSE",
  };
  const int index = error - __LIBBPF_ERRNO__START;
  if (index >= 0 && index < static_cast<int>(std::size(kLibbpfNames))) return kLibbpfNames[index];
  if (error == kKernelNotSupported) return "ENOTSUPP";
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

std::string TextOf(int error) {
  if (error == kKernelNotSupported) return "Operation is not supported";
  char text[256] = "";
  libbpf_strerror(error, text, sizeof text);
  return text;
}

}  // namespace

LibbpfLog::LibbpfLog() : outer_(current_log) { current_log = this; }

LibbpfLog::~LibbpfLog() { current_log = outer_; }

void LibbpfLog::Install() { libbpf_set_print(Print); }

void LibbpfLog::Append(std::string_view message) {
  text_.append(message);
  if (text_.size() > 2 * kLogBytes) text_.erase(0, text_.size() - kLogBytes);
}

std::string LibbpfLog::Text() const {
  return text_.size() > kLogBytes ? text_.substr(text_.size() - kLogBytes) : text_;
}

Napi::Error Refusal(Napi::Env env, int error, const std::string& syscall, const std::string& object,
                    const std::string& log) {
  const int number = std::abs(error);
  const std::string code = CodeOf(number);
  const std::string subject = object.empty() ? syscall : syscall + " " + object;
  Napi::Error refusal = Napi::Error::New(env, subject + ": " + TextOf(number) + " (" + code + ")");
  refusal.Set("code", Napi::String::New(env, code));
  refusal.Set("errno", Napi::Number::New(env, number));
  refusal.Set("syscall", Napi::String::New(env, syscall));
  refusal.Set("log", Napi::String::New(env, log));
  return refusal;
}

}  // namespace podwire
