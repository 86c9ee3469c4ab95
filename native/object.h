// BpfObject: one ELF file of BPF programs, opened, adjusted, then loaded.
#ifndef PODWIRE_NATIVE_OBJECT_H_
#define PODWIRE_NATIVE_OBJECT_H_

#include <bpf/libbpf.h>
#include <napi.h>

#include <memory>
#include <string>

#include "handle.h"

namespace podwire {

class Object : public Napi::ObjectWrap<Object> {
 public:
  using Source = std::shared_ptr<ObjectHandle>;

  static Napi::Function Define(Napi::Env env);
  static void ExportFunctions(Napi::Env env, Napi::Object exports);
  static Napi::Object Create(Napi::Env env, Source source);

  explicit Object(const Napi::CallbackInfo& info);

 private:
  void SetRodata(const Napi::CallbackInfo& info);
  void SetMaxEntries(const Napi::CallbackInfo& info);
  void ReuseMap(const Napi::CallbackInfo& info);
  void SetAutoload(const Napi::CallbackInfo& info);
  void Load(const Napi::CallbackInfo& info);
  Napi::Value MapNames(const Napi::CallbackInfo& info);
  Napi::Value ProgramNames(const Napi::CallbackInfo& info);
  Napi::Value GetMap(const Napi::CallbackInfo& info);
  Napi::Value GetProgram(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  // These throw: EBADF when closed, ENOENT for a name that the object does not have.
  bpf_object* Get() const;
  bpf_map* FindMap(const std::string& name) const;
  bpf_program* FindProgram(const std::string& name) const;

  Source handle_;
};

}  // namespace podwire

#endif  // PODWIRE_NATIVE_OBJECT_H_
