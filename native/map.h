// BpfMap: a map by descriptor, of its own or of an object.
#ifndef PODWIRE_NATIVE_MAP_H_
#define PODWIRE_NATIVE_MAP_H_

#include <bpf/bpf.h>
#include <napi.h>

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "handle.h"
#include "map_batch.h"

namespace podwire {

class Map : public Napi::ObjectWrap<Map> {
 public:
  // Either an owned descriptor, or a map of an object, whose descriptor lives as long as that.
  struct Source {
    UniqueFd owned;
    std::shared_ptr<ObjectHandle> object;
    const bpf_map* map = nullptr;
    std::string name;
  };

  static Napi::Function Define(Napi::Env env);
  static void ExportFunctions(Napi::Env env, Napi::Object exports);
  static Napi::Object Create(Napi::Env env, Source source);
  static Map& From(const Napi::Value& value);

  explicit Map(const Napi::CallbackInfo& info);

  // Throws EBADF once closed.
  int Fd() const;
  const bpf_map_info& Info();
  std::string Label() const { return "map " + source_.name; }

  // key and value may be longer than the map's, so that a u64 fits maps of u32 and of u64.
  void Write(std::span<const uint8_t> key, std::span<const uint8_t> value, uint64_t flags);

 private:
  Napi::Value GetFd(const Napi::CallbackInfo& info);
  Napi::Value GetInfo(const Napi::CallbackInfo& info);
  Napi::Value Lookup(const Napi::CallbackInfo& info);
  void Update(const Napi::CallbackInfo& info);
  Napi::Value Delete(const Napi::CallbackInfo& info);
  void UpdateMany(const Napi::CallbackInfo& info);
  Napi::Value DeleteMany(const Napi::CallbackInfo& info);
  Napi::Value DumpAll(const Napi::CallbackInfo& info);
  void Pin(const Napi::CallbackInfo& info);
  void Freeze(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);

  MapShape Shape();
  void Check(const BatchResult& result, uint32_t count);

  Source source_;
  std::optional<bpf_map_info> info_;
};

}  // namespace podwire

#endif  // PODWIRE_NATIVE_MAP_H_
