#include "object.h"

#include <bpf/btf.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <string_view>

#include "addon.h"
#include "args.h"
#include "error.h"
#include "map.h"
#include "program.h"

namespace podwire {
namespace {

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// binding.openObject(path)
Napi::Value OpenObject(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto path = info[0].As<Napi::String>().Utf8Value();
  LibbpfLog log;
  bpf_object* object = bpf_object__open_file(path.c_str(), nullptr);
  if (object == nullptr) throw Refusal(env, errno, "bpf_object__open_file", path, log.Text());
  return Object::Create(env, std::make_shared<ObjectHandle>(object, BaseName(path)));
}

// binding.readBtf(path)
Napi::Value ReadBtf(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto path = info[0].As<Napi::String>().Utf8Value();
  LibbpfLog log;
  struct BtfDeleter {
    void operator()(btf* types) const { btf__free(types); }
  };
  const std::unique_ptr<btf, BtfDeleter> types(btf__parse_elf(path.c_str(), nullptr));
  if (types == nullptr) throw Refusal(env, errno, "btf__parse_elf", path, log.Text());
  uint32_t size = 0;
  const void* data = btf__raw_data(types.get(), &size);
  if (data == nullptr) throw Refusal(env, errno, "btf__raw_data", path, log.Text());
  return Copy(env, {static_cast<const uint8_t*>(data), size});
}

// The bytes of a variable in .rodata, or .rodata.*, before load; empty when there is none.
std::span<uint8_t> FindRodata(bpf_object* object, std::string_view name) {
  const btf* types = bpf_object__btf(object);
  const uint32_t count = types != nullptr ? btf__type_cnt(types) : 0;
  for (uint32_t id = 1; id < count; id++) {
    const btf_type* section = btf__type_by_id(types, id);
    if (!btf_is_datasec(section)) continue;
    const char* section_name = btf__name_by_offset(types, section->name_off);
    if (!std::string_view(section_name).starts_with(".rodata")) continue;
    const bpf_map* map = bpf_object__find_map_by_name(object, section_name);
    size_t size = 0;
    auto* bytes = map != nullptr ? static_cast<uint8_t*>(const_cast<void*>(
                                       bpf_map__initial_value(const_cast<bpf_map*>(map), &size)))
                                 : nullptr;
    if (bytes == nullptr) continue;
    const btf_var_secinfo* variables = btf_var_secinfos(section);
    for (uint32_t i = 0; i < btf_vlen(section); i++) {
      const btf_type* variable = btf__type_by_id(types, variables[i].type);
      if (name != btf__name_by_offset(types, variable->name_off)) continue;
      if (variables[i].offset + static_cast<size_t>(variables[i].size) > size) continue;
      return {bytes + variables[i].offset, variables[i].size};
    }
  }
  return {};
}

}  // namespace

Napi::Function Object::Define(Napi::Env env) {
  return DefineClass(env, "BpfObject",
                     {
                         InstanceMethod<&Object::SetRodata>("setRodata"),
                         InstanceMethod<&Object::SetMaxEntries>("setMaxEntries"),
                         InstanceMethod<&Object::ReuseMap>("reuseMap"),
                         InstanceMethod<&Object::SetAutoload>("setAutoload"),
                         InstanceMethod<&Object::Load>("load"),
                         InstanceMethod<&Object::MapNames>("mapNames"),
                         InstanceMethod<&Object::ProgramNames>("programNames"),
                         InstanceMethod<&Object::GetMap>("map"),
                         InstanceMethod<&Object::GetProgram>("program"),
                         InstanceMethod<&Object::Close>("close"),
                     });
}

void Object::ExportFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("openObject", Napi::Function::New<OpenObject>(env, "openObject"));
  exports.Set("readBtf", Napi::Function::New<ReadBtf>(env, "readBtf"));
}

Napi::Object Object::Create(Napi::Env env, Source source) {
  return Construct(env, &AddonData::object, source);
}

Object::Object(const Napi::CallbackInfo& info)
    : ObjectWrap(info), handle_(TakeSource<Source>(info)) {}

bpf_object* Object::Get() const {
  bpf_object* object = handle_->Get();
  if (object == nullptr) {
    throw Refusal(Env(), EBADF, "bpf_object", handle_->Name() + " (closed)");
  }
  return object;
}

bpf_map* Object::FindMap(const std::string& name) const {
  bpf_map* map = bpf_object__find_map_by_name(Get(), name.c_str());
  if (map == nullptr) {
    throw Refusal(Env(), ENOENT, "bpf_object__find_map_by_name", handle_->Name() + " map " + name);
  }
  return map;
}

bpf_program* Object::FindProgram(const std::string& name) const {
  bpf_program* program = bpf_object__find_program_by_name(Get(), name.c_str());
  if (program == nullptr) {
    throw Refusal(Env(), ENOENT, "bpf_object__find_program_by_name",
                  handle_->Name() + " program " + name);
  }
  return program;
}

void Object::SetRodata(const Napi::CallbackInfo& info) {
  const auto name = info[0].As<Napi::String>().Utf8Value();
  const auto variable = FindRodata(Get(), name);
  const auto label = handle_->Name() + " .rodata " + name;
  if (handle_->loaded) throw Refusal(info.Env(), EBUSY, "setRodata", label + " (already loaded)");
  if (variable.empty()) throw Refusal(info.Env(), ENOENT, "setRodata", label);
  const auto value = BytesOf(info[1], label.c_str(), variable.size());
  memcpy(variable.data(), value.data(), value.size());
}

void Object::SetMaxEntries(const Napi::CallbackInfo& info) {
  const auto name = info[0].As<Napi::String>().Utf8Value();
  const uint32_t entries = info[1].As<Napi::Number>().Uint32Value();
  const int error = bpf_map__set_max_entries(FindMap(name), entries);
  if (error != 0) {
    throw Refusal(info.Env(), error, "bpf_map__set_max_entries", handle_->Name() + " map " + name);
  }
}

void Object::ReuseMap(const Napi::CallbackInfo& info) {
  const auto name = info[0].As<Napi::String>().Utf8Value();
  bpf_map* map = FindMap(name);
  Map& existing = Map::From(info[1]);
  const auto label = handle_->Name() + " map " + name + " from " + existing.Label();
  /* libbpf would take over any shape, and the verifier would speak of the consequences only */
  const bpf_map_info& shape = existing.Info();
  if (shape.type != bpf_map__type(map) || shape.key_size != bpf_map__key_size(map) ||
      shape.value_size != bpf_map__value_size(map)) {
    throw Refusal(info.Env(), EINVAL, "bpf_map__reuse_fd", label + " (type or sizes differ)");
  }
  LibbpfLog log;
  const int error = bpf_map__reuse_fd(map, existing.Fd());
  if (error != 0) throw Refusal(info.Env(), error, "bpf_map__reuse_fd", label, log.Text());
}

void Object::SetAutoload(const Napi::CallbackInfo& info) {
  const auto name = info[0].As<Napi::String>().Utf8Value();
  const bool load = info[1].As<Napi::Boolean>().Value();
  const int error = bpf_program__set_autoload(FindProgram(name), load);
  if (error != 0) {
    throw Refusal(info.Env(), error, "bpf_program__set_autoload",
                  handle_->Name() + " program " + name);
  }
}

void Object::Load(const Napi::CallbackInfo& info) {
  LibbpfLog log;
  const int error = bpf_object__load(Get());
  if (error != 0) {
    throw Refusal(info.Env(), error, "bpf_object__load", handle_->Name(), log.Text());
  }
  handle_->loaded = true;
}

Napi::Value Object::MapNames(const Napi::CallbackInfo& info) {
  auto names = Napi::Array::New(info.Env());
  const bpf_object* object = Get();
  bpf_map* map;
  bpf_object__for_each_map(map, object) names.Set(names.Length(), bpf_map__name(map));
  return names;
}

Napi::Value Object::ProgramNames(const Napi::CallbackInfo& info) {
  auto names = Napi::Array::New(info.Env());
  const bpf_object* object = Get();
  bpf_program* program;
  bpf_object__for_each_program(program, object) {
    names.Set(names.Length(), bpf_program__name(program));
  }
  return names;
}

Napi::Value Object::GetMap(const Napi::CallbackInfo& info) {
  const auto name = info[0].As<Napi::String>().Utf8Value();
  return Map::Create(info.Env(), {UniqueFd(), handle_, FindMap(name), name});
}

Napi::Value Object::GetProgram(const Napi::CallbackInfo& info) {
  const auto name = info[0].As<Napi::String>().Utf8Value();
  return Program::Create(info.Env(), {handle_, FindProgram(name), name});
}

void Object::Close(const Napi::CallbackInfo&) { handle_->Close(); }

}  // namespace podwire
