// BpfProgram: a program of an object, valid until that is closed.
#ifndef PODWIRE_NATIVE_PROGRAM_H_
#define PODWIRE_NATIVE_PROGRAM_H_

#include <bpf/libbpf.h>
#include <napi.h>

#include <memory>
#include <string>

#include "handle.h"

namespace podwire {

class Program : public Napi::ObjectWrap<Program> {
 public:
  struct Source {
    std::shared_ptr<ObjectHandle> object;
    bpf_program* program = nullptr;
    std::string name;
  };

  static Napi::Function Define(Napi::Env env);
  static Napi::Object Create(Napi::Env env, Source source);
  static Program& From(const Napi::Value& value);

  explicit Program(const Napi::CallbackInfo& info);

  // Throws EBADF when its object is closed or not loaded.
  int Fd() const;
  std::string Label() const { return "program " + source_.name; }

 private:
  Napi::Value GetName(const Napi::CallbackInfo& info);
  Napi::Value GetFd(const Napi::CallbackInfo& info);
  Napi::Value GetInfo(const Napi::CallbackInfo& info);
  Napi::Value AttachCgroup(const Napi::CallbackInfo& info);
  Napi::Value AttachNetns(const Napi::CallbackInfo& info);
  Napi::Value AttachTracing(const Napi::CallbackInfo& info);
  Napi::Value AttachIter(const Napi::CallbackInfo& info);
  void AttachSockmap(const Napi::CallbackInfo& info);
  void DetachSockmap(const Napi::CallbackInfo& info);
  void Pin(const Napi::CallbackInfo& info);
  Napi::Value TestRun(const Napi::CallbackInfo& info);

  // `attach` gets an open descriptor of `path`
  Napi::Value AttachAt(const std::string& path, const char* syscall,
                       bpf_link* (*attach)(const bpf_program*, int));

  Source source_;
};

}  // namespace podwire

#endif  // PODWIRE_NATIVE_PROGRAM_H_
